"""The order of jobs and their batches: questions about one picture side by side, none split without need."""

from __future__ import annotations

from janus_eval.evals.batches import chunks, in_order, subject
from janus_eval.evals.types import Job, Picture, Sample


def job(name: str, prompt: str, picture: str = "", cluster: str = "") -> Job:
    images = (Picture(picture, bytes),) if picture else ()
    return Job(Sample(name, prompt, images, cluster=cluster), "text", 0, 0)


def names(jobs: list[Job]) -> str:
    return "".join(each.sample.id for each in jobs)


def test_questions_about_one_picture_are_neighbours_by_the_longest_of_them() -> None:
    jobs = [job("a", "xxx", "one"), job("b", "x", "two"), job("c", "xx", "two"), job("d", "x", "one"), job("e", "xx")]
    assert names(in_order(jobs, together=True)) == "bceda"
    assert names(in_order(jobs, together=False)) == "bdcea"


def test_a_cluster_names_what_pictures_of_several_names_share() -> None:
    jobs = [job("a", "x", "row 1", "cat"), job("b", "x", "row 2", "dog"), job("c", "x", "row 3", "cat")]
    assert names(in_order(jobs, together=True)) == "acb"


def test_jobs_without_pictures_stand_by_length_as_ever() -> None:
    jobs = [job("a", "xxx"), job("b", "x"), job("c", "xx"), job("d", "x")]
    assert names(in_order(jobs, together=True)) == names(in_order(jobs, together=False)) == "bdca"


def test_a_batch_splits_no_family_that_a_batch_holds_and_a_larger_one_evenly() -> None:
    items = list("aaabbbccdddddddde")
    assert ["".join(each) for each in chunks(items, 6, str)] == ["aaabbb", "ccdddd", "dddde"]
    assert ["".join(each) for each in chunks(items, 4, str)] == ["aaa", "bbb", "cc", "dddd", "dddd", "e"]
    assert ["".join(each) for each in chunks(items, 6)] == ["aaabbb", "ccdddd", "dddde"]
    assert [*chunks([], 4, str)] == []


def test_outputs_of_one_sample_are_one_subject_and_kinds_are_not() -> None:
    sample = Sample("a", "x")
    assert subject(Job(sample, "image", 0, 1)) == subject(Job(sample, "image", 1, 2))
    assert subject(Job(sample, "image", 0, 1)) != subject(Job(sample, "text", 0, 1))
