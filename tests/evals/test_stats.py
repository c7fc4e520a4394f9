"""Intervals have the coverage they claim; the paired test finds what it says it finds."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest
from janus_eval.evals import formulas, stats
from janus_eval.evals.types import Metric, Score

GENEVAL = {"single": (80, 0.99), "two": (99, 0.89), "counting": (80, 0.59), "colors": (94, 0.9)}
GENEVAL |= {"position": (100, 0.79), "attributes": (100, 0.66)}
PHI = NormalDist().cdf


def correlated(generator: random.Random, share: float, members: int, correlation: float) -> list[float]:
    """Draw 0/1 values that agree as beta-binomial trials do: the correlation within is exact."""
    spread = (1 - correlation) / correlation
    chance = generator.betavariate(share * spread, (1 - share) * spread)
    return [float(generator.random() < chance) for _ in range(members)]


def geneval(generator: random.Random) -> stats.Estimate:
    tasks: list[stats.Estimate] = []
    for task, (prompts, share) in GENEVAL.items():
        values = [value for _ in range(prompts) for value in correlated(generator, share, 4, 0.5)]
        tasks.append(stats.mean(values, [f"{task}/{number // 4}" for number in range(len(values))]))
    return stats.average(tasks)


def test_geneval_overall_has_95_percent_coverage() -> None:
    generator = random.Random(1)
    truth = sum(share for _, share in GENEVAL.values()) / 6
    covered = 0
    for _ in range(700):
        low, high = geneval(generator).interval() or (0, 0)
        covered += low <= truth <= high
    assert 0.935 <= covered / 700 <= 0.965


@pytest.mark.parametrize(("clusters", "members", "share"), [(60, 4, 0.5), (100, 6, 0.85), (200, 2, 0.7)])
def test_a_clustered_share_has_95_percent_coverage(clusters: int, members: int, share: float) -> None:
    generator = random.Random(clusters)
    names = [str(number // members) for number in range(clusters * members)]
    covered = 0
    for _ in range(2000):
        values = [each for _ in range(clusters) for each in correlated(generator, share, members, 0.4)]
        low, high = stats.mean(values, names).interval() or (0, 0)
        covered += low <= share <= high
    assert 0.935 <= covered / 2000 <= 0.965


def test_ignoring_the_clusters_would_not_cover() -> None:
    generator = random.Random(7)
    covered = 0
    for _ in range(500):
        values = [each for _ in range(100) for each in correlated(generator, 0.7, 6, 0.4)]
        low, high = formulas.proportion_interval(sum(values) / 600, 600)
        covered += low <= 0.7 <= high
    assert covered / 500 < 0.85


def test_f1_has_95_percent_coverage() -> None:
    generator = random.Random(3)
    covered = 0
    names = [str(number // 6) for number in range(900)]
    for _ in range(1000):
        right = [each for _ in range(150) for each in correlated(generator, 0.85, 6, 0.2)]
        tops = [2.0 * ok if number % 2 else 0.0 for number, ok in enumerate(right)]
        bottoms = [2 * ok + (1 - ok) if number % 2 else 1 - ok for number, ok in enumerate(right)]
        low, high = stats.ratio(tops, bottoms, names).interval() or (0, 0)
        covered += low <= 0.85 <= high
    assert 0.93 <= covered / 1000 <= 0.97


def test_by_hand_three_of_four_prompts() -> None:
    estimate = stats.mean([1, 1, 1, 0], ["a", "b", "c", "d"])
    assert estimate.value == 0.75
    assert math.isclose(estimate.variance, 0.75 * 0.25 / 3)  # s2 / n with the n - 1 divisor
    assert estimate.parts["d"][0] == 0
    assert math.isclose(sum(contribution for contribution, _ in estimate.parts.values()), 0.75)


def test_a_mean_of_means_weighs_tasks_and_not_rows() -> None:
    small = stats.mean([1.0, 0.0], ["a", "b"])
    large = stats.mean([1.0] * 8, [f"c{number}" for number in range(8)])
    overall = stats.average([small, large])
    assert overall.value == 0.75
    assert overall.n == 10


def test_shared_clusters_are_followed_across_parts() -> None:
    up = stats.mean([1, 0, 1, 0], ["a", "b", "c", "d"])
    down = stats.mean([0, 1, 0, 1], ["a", "b", "c", "d"])
    assert stats.average([up, down]).variance == 0
    apart = stats.mean([0, 1, 0, 1], ["e", "f", "g", "h"])
    assert stats.average([up, apart]).variance > 0


def test_a_unit_changes_nothing_else() -> None:
    share = stats.mean([1, 0, 1, 1, 0, 1], list("aabbcc"))
    percent = share.times(100)
    low, high = share.interval() or (0, 0)
    assert percent.interval() == pytest.approx((100 * low, 100 * high))
    assert percent.metric().value == pytest.approx(200 / 3)


def test_all_correct_is_not_certainty() -> None:
    low, high = stats.mean([1.0] * 320, [str(number // 4) for number in range(320)]).interval() or (0, 0)
    assert high == 1
    assert 0.94 < low < 0.96  # as 80 independent draws, not 320


def test_single_rows_have_wilsons_interval() -> None:
    low, high = stats.mean([1.0] + [0.0] * 499, [str(number) for number in range(500)]).interval() or (0, 0)
    assert (low, high) == pytest.approx(formulas.proportion_interval(1 / 500, 500), abs=2e-4)


def test_no_rows_and_one_cluster_have_no_interval() -> None:
    assert stats.mean([], []).metric() == Metric(None, 0)
    assert stats.mean([1.0, 0.0], ["a", "a"]).metric() == Metric(0.5, 2)
    assert stats.average([]).metric() == Metric(None, 0)
    whole = stats.mean([1.0, 0.0, 1.0], ["a", "b", "c"])
    assert stats.average([whole, stats.mean([1.0], ["z"])]).interval() is None
    assert stats.average([whole, stats.mean([], [])]).value is None


def test_the_order_of_rows_does_not_matter() -> None:
    rows = list(zip([1.0, 0.0, 1.0, 1.0, 0.0], list("abcab"), strict=True))
    forward = stats.mean(*map(list, zip(*rows, strict=True)))
    backward = stats.mean(*map(list, zip(*reversed(rows), strict=True)))
    assert forward.metric() == backward.metric()


def test_a_score_without_cluster_is_its_own() -> None:
    assert stats.cluster(Score("s1", 0, "official", 1.0)) == "s1"
    assert stats.cluster(Score("s1", 0, "official", 1.0, cluster="image 7")) == "image 7"


def test_student_agrees_with_published_quantiles() -> None:
    table = {(0.975, 1): 12.7062047, (0.975, 10): 2.2281389, (0.95, 30): 1.6972609, (0.975, 552): 1.9642709}
    for (probability, degrees), expected in table.items():
        assert formulas.student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-7)
        assert formulas.student_cdf(expected, degrees) == pytest.approx(probability, abs=1e-8)
    assert formulas.student_quantile(0.975, math.inf) == pytest.approx(1.959964, rel=1e-6)


def test_student_agrees_with_scipy() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    for degrees in (1, 2.5, 7, 200, 14000):
        for t in (-4.0, -0.3, 0.9, 2.2):
            assert formulas.student_cdf(t, degrees) == pytest.approx(scipy_stats.t.cdf(t, degrees), abs=1e-10)


def test_the_bootstrap_agrees_with_the_closed_form() -> None:
    generator = random.Random(11)
    clusters = [correlated(generator, 0.7, 4, 0.5) for _ in range(300)]
    values = [value for cluster in clusters for value in cluster]
    low, high = stats.mean(values, [str(number // 4) for number in range(1200)]).interval() or (0, 0)
    totals = [[sum(cluster), len(cluster)] for cluster in clusters]
    drawn = stats.cluster_bootstrap(totals, lambda sums: sums[:, 0] / sums[:, 1], seed=5)
    assert drawn == pytest.approx((low, high), abs=0.006)
    assert drawn == stats.cluster_bootstrap(totals, lambda sums: sums[:, 0] / sums[:, 1], seed=5)


def test_the_bootstrap_redraws_within_strata() -> None:
    totals = [[1.0, 1.0]] * 10 + [[0.0, 1.0]] * 10
    low, high = stats.cluster_bootstrap(totals, lambda sums: sums[:, 0] / sums[:, 1], strata=[0] * 10 + [1] * 10)
    assert low == high == 0.5


def twin_runs(generator: random.Random, drop: float) -> tuple[stats.Estimate, stats.Estimate]:
    """Two full GenEval runs with correlation 0.5 within a prompt and 0.5 between the runs.

    Each image is right where a normal score passes its task's threshold. The prompt's two scores
    (one a run) correlate 0.5 and make half of each image's variance.
    """
    quantile = NormalDist().inv_cdf
    runs: list[stats.Estimate] = []
    cuts = [{task: quantile(max(0.0, share - lost)) for task, (_, share) in GENEVAL.items()} for lost in (0.0, drop)]
    values: list[dict[str, list[float]]] = [{task: [] for task in GENEVAL} for _ in cuts]
    for task, (prompts, _) in GENEVAL.items():
        for _ in range(prompts):
            shared = generator.gauss(0, 1)
            for cut, column in zip(cuts, values, strict=True):
                prompt = math.sqrt(0.5) * shared + math.sqrt(0.5) * generator.gauss(0, 1)
                for _ in range(4):
                    score = math.sqrt(0.5) * prompt + math.sqrt(0.5) * generator.gauss(0, 1)
                    column[task].append(float(score < cut[task]))
    for column in values:
        tasks = [stats.mean(each, [f"{task}/{i // 4}" for i in range(len(each))]) for task, each in column.items()]
        runs.append(stats.average(tasks))
    return runs[0], runs[1]


def test_a_drop_of_five_points_is_found() -> None:
    generator = random.Random(17)
    found = 0
    for _ in range(200):
        difference = stats.paired(*twin_runs(generator, 0.05))
        assert difference is not None
        found += difference.p_below() < 0.04
    assert found / 200 >= 0.95


def test_no_change_is_rarely_called_a_drop() -> None:
    generator = random.Random(19)
    alarms = 0
    for _ in range(250):
        difference = stats.paired(*twin_runs(generator, 0.0))
        assert difference is not None
        alarms += difference.p_below() < 0.05
    assert alarms / 250 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 250)


def test_few_flips_are_not_significant() -> None:
    names = [str(number) for number in range(100)]
    before = [1.0] * 50 + [0.0] * 50
    for flips, significant in ((4, False), (5, False), (7, True)):  # exact sign test: .125, .0625, .0156
        after = [0.0] * flips + before[flips:]
        difference = stats.paired(stats.mean(before, names), stats.mean(after, names))
        assert difference is not None
        assert (difference.p < 0.05) is significant


def test_equal_runs_do_not_differ() -> None:
    estimate = stats.mean([1.0, 0.0, 1.0], ["a", "b", "c"])
    difference = stats.paired(estimate, estimate)
    assert difference is not None
    assert (difference.value, difference.deviation, difference.p) == (0, 0, 1)


def test_a_margin_forgives_a_small_drop() -> None:
    names = [str(number) for number in range(400)]
    before = stats.mean([1.0] * 400, names)
    after = stats.mean([0.0] * 20 + [1.0] * 380, names)
    difference = stats.paired(before, after)
    assert difference is not None
    assert difference.p_below() < 0.001 < 0.5 < difference.p_below(margin=0.05)


def test_intervals_alone_give_a_weaker_test() -> None:
    difference = stats.unpaired(Metric(0.8, 553, 0.77, 0.83), Metric(0.7, 553, 0.67, 0.73))
    assert difference is not None
    assert difference.p < 0.001
    assert stats.unpaired(Metric(0.8, 553), Metric(0.7, 553, 0.67, 0.73)) is None


def test_noise_is_what_two_runs_differ_by() -> None:
    assert stats.noise(Metric(0.8, 2212, 0.769, 0.831)) == pytest.approx(0.031 * math.sqrt(2))
    assert stats.noise(Metric(0.8, 2212)) is None


def test_the_detectable_difference_is_found_at_its_power() -> None:
    difference = stats.Difference(0.0, 0.01, math.inf, 0.0, paired=True)
    found = 1 - PHI(formulas.student_quantile(0.975, math.inf) - difference.detectable(0.8) / 0.01)
    assert found == pytest.approx(0.8, abs=1e-6)


def test_holm_stops_at_the_first_that_holds() -> None:
    assert stats.holm({"a": 0.001, "b": 0.02, "c": 0.04}, 0.05) == {"a", "b", "c"}
    assert stats.holm({"a": 0.03, "b": 0.03, "c": 0.001}, 0.05) == {"c"}
    assert stats.holm({}, 0.05) == set()
