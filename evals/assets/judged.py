"""The files of the suites whose pictures a judge grades: WISE, UniGenBench, TIIF-Bench, OneIG-Bench."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .asset import Asset

_RAW = "https://raw.githubusercontent.com"
_ONEIG = f"{_RAW}/OneIG-Bench/OneIG-Benchmark/41b49831e79e6dde5323618c164da1c4cf0f699d"
_ONEIG_LICENCE = "not stated in the repository; on the hub CC BY-NC 4.0"


def _wise(name: str, folder: str, digests: Mapping[str, str]) -> Asset:
    """Return WISE's three files of prompts, at one commit of its makers' repository."""
    files = tuple(
        Asset(
            name=f"{name}/{each}",
            urls=(f"{_RAW}/PKU-YuanGroup/WISE/eb51174483a5de2e34e8614cf9dfb3319ee7fcd0/{folder}/{each}.json",),
            filename=f"{name}/{each}.json",
            sha256=digest,
        )
        for each, digest in digests.items()
    )
    return Asset(name=name, kind="folder", filename=name, files=files, note="1000 prompts with their explanations")


def _tiif(name: str, split: str) -> Asset:
    """Return TIIF-Bench's files of one split, prompts and questions; tiif.txt has git's ids of their content."""
    listed = (Path(__file__).with_name("tiif.txt")).read_text(encoding="utf-8").split("\n")
    rows = [each.split(" ", 1) for each in listed if f" {split}_" in each]
    files = tuple(
        Asset(
            name=f"{name}/{path}",
            urls=(f"{_RAW}/A113N-W3I/TIIF-Bench/3aae7504d2546516eaec2fea82fde9ae445dfea3/data/{path}",),
            filename=f"{name}/{path}",
            git_blob=blob,
        )
        for blob, path in rows
    )
    return Asset(name=name, kind="folder", filename=name, files=files, note="prompts, short and long, and questions")


def _unigenbench(suffix: str, table: str, digest: str) -> Asset:
    """Return one of UniGenBench's four tables of 600 prompts."""
    filename = f"test_prompts_{table}.csv"
    return Asset(
        name=f"unigenbench{suffix}",
        urls=(f"{_RAW}/CodeGoat24/UniGenBench/49d0bcebb0b9418d975d3957c2fee10f34811d14/data/{filename}",),
        filename=f"unigenbench/{filename}",
        sha256=digest,
        licence="CC BY 4.0",
        note="UniGenBench's 600 prompts with their checkpoints",
    )


def _oneig(name: str, files: Mapping[str, str]) -> Asset:
    """Return OneIG-Bench's table of prompts and its files of questions, at one commit of its makers' repository."""
    parts = tuple(
        Asset(
            name=f"{name}/{each}",
            urls=(f"{_ONEIG}/{each}" if each.endswith(".csv") else f"{_ONEIG}/scripts/alignment/Q_D/{each}",),
            filename=f"{name}/{each}",
            sha256=digest,
        )
        for each, digest in files.items()
    )
    note = "OneIG-Bench's prompts and questions of alignment"
    return Asset(name=name, kind="folder", filename=name, files=parts, licence=_ONEIG_LICENCE, note=note)


def _oneig_text(suffix: str, table: str, digest: str) -> Asset:
    """Return one of OneIG-Bench's two tables of texts."""
    return Asset(
        name=f"oneig-text{suffix}",
        urls=(f"{_ONEIG}/scripts/text/{table}.csv",),
        filename=f"oneig-text/{table}.csv",
        sha256=digest,
        licence=_ONEIG_LICENCE,
        note="OneIG-Bench's 200 prompts of text",
    )


JUDGED: tuple[Asset, ...] = (
    _wise(
        "wise",
        "WISE_legacy/data",
        {
            "cultural_common_sense": "7a59216c768698280cea37caa574b52f3faf054d73b398b9bb6b3161baf8e3aa",
            "natural_science": "b262fae58e413c7a4bd3c3d5a089f8c6529feac227e4b6606be261a949035544",
            "spatio-temporal_reasoning": "e27d797885ad86e64d857d0cc93d33e04be572a8dcae95692a2c7e7876233f9a",
        },
    ),
    _wise(
        "wise-rewritten",
        "WISE_legacy/data",
        {
            "cultural_common_sense_rewrite": "4383290c349703776c24cfa864bfa3e065dae2e3f408cf46af702f2b7affea9f",
            "natural_science_rewrite": "6aee690e100ffb65b292de3fbe35ce89fa1ca2b92063a99d227d04eaa51af2b3",
            "spatio-temporal_reasoning_rewrite": "f63c98fff301e81c3ca6d3918683fb49757c3159d9b9e45dda8b2c9cf6a75d64",
        },
    ),
    _wise(
        "wise-verified",
        "data_verified",
        {
            "cultural_common_sense_verified": "23482925266e2784b2ba24b75239fdc6691bf85ae253d2c4aa38b71b45fefa89",
            "natural_science_verified": "6f346c336f16f611e5c73e0fcacdccb336c200d534cf111526b22d50ea912555",
            "spatio-temporal_reasoning_verified": "42c0b9d829365e392c2d4af283850dc76b1f922ab0c79198366de4f306eaf2b6",
        },
    ),
    _unigenbench("", "en", "f82e8ce854985ef963378eaaf8ce12f2e3a57dd6f53e1aea84a61fbeadfe4459"),
    _unigenbench("-long", "en_long", "5d2c3d642cc4923504b662ad15b425c2d161a137884701881e00c2691a697253"),
    _unigenbench("-cn", "zh", "7ff2d2131e68e6182f43a28ecf03d070f7735788f3c5420db3f83141492e8cb3"),
    _unigenbench("-cn-long", "zh_long", "6e281a5781878584db932a3bfd16dc51afb195566eb7a30c17fb9c09fd3b1776"),
    _tiif("tiif", "test"),
    _tiif("tiif-mini", "testmini"),
    _oneig(
        "oneig-alignment",
        {
            "OneIG-Bench.csv": "e06c65b32252d82406fb1a27f13022b38d432c899a2486eb49ab0c100f83b3e1",
            "anime.json": "21ea3d0360e69d72bc5f4cbb93b203d293d16f5c2f626634a52b990119e0a6e3",
            "human.json": "0e92b25c6bc4091cac05fa0f4269b3b37465a7cd43ca2768f55f56149cdbf13b",
            "object.json": "350dfdf72c2da143c78a7544d4c554faf6698c1ba4fcd27c7a9cc9199d487e0e",
        },
    ),
    _oneig(
        "oneig-alignment-cn",
        {
            "OneIG-Bench-ZH.csv": "8fc4ae1403db32dbb1203cc457361c3215500b34e741194a53f5002c9d824700",
            "anime_zh.json": "171740d2d7158f0da2d907481b5cd97380398e4a45b53f0976ad4d91e01151d4",
            "human_zh.json": "819f13b1efab67bdfba9ca633a37e009013350d148323f5d65b2a467f1789c64",
            "object_zh.json": "19f69cfdf17119ff5400919341c930468a0de5ee06b9c91d8f16ba2365f51498",
            "multilingualism_zh.json": "63614e72dbd86f1e56ed625a55f73d509323d34b68fb27d8fed0f87a49f69db9",
        },
    ),
    _oneig_text("", "text_content", "ffbf0b588c617b77caf1e9a733496ff5b4704b6534df5fba13201a83f21e0512"),
    _oneig_text("-cn", "text_content_zh", "6250b3be96e9c4fd4c9cb858dd36b5b2dc4fc8fccb8e4ed0317f5da392db9a1a"),
)
"""Their entries in the catalogue, but for sizes."""
