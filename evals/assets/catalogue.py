"""The catalogue: every file, data set and checkpoint that this package knows where to fetch.

Addresses were read in public sources in 2026; where no digest was published, `evals.data` records
the one that arrives and holds the next fetch to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .asset import Asset
from .judged import JUDGED

_OPENMMLAB = "https://download.openmmlab.com/mmdetection"
_COMPASS = "https://opencompass.openxlab.space/utils"
_RAW = "https://raw.githubusercontent.com"
_COMPBENCH = f"{_RAW}/Karine-Huang/T2I-CompBench/1b7094991a57f3c22abdd4f6e8ba6c1a15517073"
_MPLUG = "mplug_visual-question-answering_coco_large_en"
_TEST = ("data/test-*.parquet",)
_DDIT_LICENCE = "code MIT, weights a fine-tune of SD3-Medium: Stability AI Community License"
_JANUS_LICENCE = "code MIT, weights DeepSeek Model License"


def _mplug_file(filename: str) -> Asset:
    scope = "https://modelscope.cn/api/v1/models"
    query = f"repo?Revision=master&FilePath={filename}"
    return Asset(
        name=f"mplug/{filename}",
        urls=(
            f"{scope}/damo/{_MPLUG}/{query}",
            f"{scope}/iic/{_MPLUG}/{query}",
            f"https://huggingface.co/xingjianleng/{_MPLUG}/resolve/main/{filename}",
        ),
        filename=f"mplug/{filename}",
        licence="Apache-2.0",
    )


def _tsv(name: str, path: str, md5: str) -> Asset:
    return Asset(
        name=f"{name}-tsv",
        urls=(f"{_COMPASS}/{path}",),
        filename=f"tsv/{path.rpartition('/')[2]}",
        md5=md5,
        licence="the data set's own",
        note="VLMEvalKit's table; an equal file in the LMUData folder is used where it lies",
    )


def _dataset(name: str, repo: str, patterns: tuple[str, ...], licence: str, note: str = "") -> Asset:
    # The organisation lmms-lab was renamed in 2026; either name may answer.
    owner, _, short = repo.partition("/")
    hub = (repo, f"lmms-lab-encoder/{short}") if owner == "lmms-lab" else (repo,)
    return Asset(name=name, kind="dataset", hub=hub, patterns=patterns, licence=licence, note=note)


def _weights(name: str, repo: str, licence: str, note: str = "", patterns: tuple[str, ...] = ()) -> Asset:
    return Asset(name=name, kind="weights", hub=(repo,), licence=licence, note=note, patterns=patterns)


_MEGABYTES: Mapping[str, float] = {
    "geneval-detector": 276,  # 69 million parameters in float32
    "geneval-detector-3x": 276,
    "geneval-clip": 1710,
    "mplug": 6000,
    "pope": 255,
    "mme": 865,
    "mmbench": 97,
    "gqa": 68,
    "mmmu": 341,
    "mm-vet": 67,
    "mmstar": 42,
    "realworldqa": 678,
    "ai2d": 140,
    "chartqa": 73,
    "mmbench-cn": 97,
    "mmmu-pro": 678,
    "mmmu-pro-vision": 1631,
    "mathvista": 142,
    "ocrbench": 68,
    "geneval-long": 0.4,
    "geneval2": 0.42,
    "wise": 0.34,
    "wise-rewritten": 0.33,
    "wise-verified": 0.41,
    "unigenbench": 0.36,
    "unigenbench-long": 0.76,
    "unigenbench-cn": 0.31,
    "unigenbench-cn-long": 0.64,
    "oneig-alignment": 1.03,
    "oneig-alignment-cn": 1.21,
    "oneig-text": 0.097,
    "oneig-text-cn": 0.089,
    "t2i-compbench": 0.042,
    "tiif": 2.6,
    "tiif-mini": 0.32,
    "mmbench-tsv": 37,
    "seed-bench-tsv": 620,
    "ai2d-tsv": 167,
    "chartqa-tsv": 130,
    "mmbench-cn-tsv": 37,
    "janus-1.3b": 4190,
    "janusflow-1.3b": 4100,
    "sdxl-vae": 335,
    "janus-pro-1b": 4190,
    "janus-pro-7b": 14850,
    "sd3-medium": 15500,
}
"""What is fetched of each, about: the hub's listings of the files that are taken (of VLMEvalKit's tables, of copies),
OCRBench's card, and the files of prompts at their commits, read in November 2026. What is not here is not known."""

_ENTRIES: tuple[Asset, ...] = (
    Asset(
        name="geneval-detector",
        urls=(
            f"{_OPENMMLAB}/v2.0/mask2former/mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco/"
            "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth",
        ),
        filename="geneval/mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth",
        sha256="743b7d99",
        licence="Apache-2.0",
        note="GenEval's detector as the official script loads it (mmdet 2.x names)",
    ),
    Asset(
        name="geneval-detector-3x",
        urls=(
            f"{_OPENMMLAB}/v3.0/mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco/"
            "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth",
        ),
        filename="geneval/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth",
        sha256="c9d0c4f2",
        licence="Apache-2.0",
        note="the same detector, mmdet 3.x names",
    ),
    _weights(
        "geneval-clip",
        "openai/clip-vit-large-patch14",
        "MIT",
        "GenEval's colour classifier (open_clip ViT-L-14 'openai' holds the same weights)",
    ),
    Asset(
        name="dpg-bench",
        urls=("https://raw.githubusercontent.com/TencentQQGYLab/ELLA/main/dpg_bench/dpg_bench.csv",),
        filename="dpg_bench/dpg_bench.csv",
        git_blob="98457fc9901943f51ff9a30367250fc292533bed",
        licence="Apache-2.0",
        note="DPG-Bench's prompts and questions",
    ),
    Asset(
        name="geneval-long",
        urls=(
            f"{_RAW}/ByteDance-Seed/Bagel/056b5fd51a88c1eb4547318609e25d40080fcf87/eval/gen/geneval/prompts/"
            "evaluation_metadata_long.jsonl",
        ),
        filename="geneval/evaluation_metadata_long.jsonl",
        sha256="09472cc9c24e225417b1d5df27e688e5f2a0fcac9ec772f33d9debe4e5d49f27",
        licence="Apache-2.0",
        note="GenEval's 553 prompts as BAGEL's authors rewrote them",
    ),
    Asset(
        name="geneval2",
        urls=(f"{_RAW}/facebookresearch/GenEval2/a6e82d2289e8d418f27f0adee77908b07060eea3/geneval2_data.jsonl",),
        filename="geneval2/geneval2_data.jsonl",
        sha256="09233adbc9f877fba205f1a20efa4a8640e7e62a91dfd55893562bed8a928e43",
        licence="CC BY-NC 4.0",
        note="GenEval 2's 800 prompts with their 6012 questions",
    ),
    *JUDGED,
    Asset(
        name="t2i-compbench",
        kind="folder",
        filename="t2i-compbench",
        files=tuple(
            Asset(
                name=f"t2i-compbench/{each}_val.txt",
                urls=(f"{_COMPBENCH}/examples/dataset/{each}_val.txt",),
                filename=f"t2i-compbench/{each}_val.txt",
                sha256=digest,
            )
            for each, digest in (
                ("color", "1634259756dbc77d13093d907d414480080ec9790a8c97ad09efaea7b2534f2d"),
                ("shape", "37e1a276906c7ea9516cbd7ac8501be896006c0c17ca7344f260562834455bae"),
                ("texture", "fbb5363515b4a28009e360afaaaf389d2dd2289e50dbb0c6ef4ea0c7fe4f3d4f"),
            )
        ),
        licence="MIT",
        note="T2I-CompBench's 900 prompts of attribute binding",
    ),
    Asset(
        name="blip-vqa",
        kind="folder",
        filename="blip-vqa",
        files=(
            Asset(
                name="blip-vqa/model_base_vqa_capfilt_large.pth",
                urls=(
                    "https://storage.googleapis.com/sfr-vision-language-research/BLIP/models/"
                    "model_base_vqa_capfilt_large.pth",
                ),
                filename="blip-vqa/model_base_vqa_capfilt_large.pth",
            ),
            Asset(
                name="blip-vqa/vocab.txt",
                urls=("https://huggingface.co/google-bert/bert-base-uncased/resolve/main/vocab.txt",),
                filename="blip-vqa/vocab.txt",
            ),
        ),
        licence="BSD-3-Clause; vocabulary Apache-2.0",
        note="T2I-CompBench's VQA model as its makers load it, with BERT's vocabulary",
    ),
    _dataset(
        "genai-bench",
        "BaiqiL/GenAI-Bench-1600",
        ("genai_image.json", "genai_skills.json"),
        "not stated",
        "1600 prompts and the skills that each wants",
    ),
    _weights("geneval2-vqa", "Qwen/Qwen3-VL-8B-Instruct", "Apache-2.0", "GenEval 2's VQA model"),
    Asset(
        name="mplug",
        kind="folder",
        filename="mplug",
        files=tuple(
            _mplug_file(each)
            for each in ("configuration.json", "config.yaml", "config_bert.json", "vocab.txt", "pytorch_model.bin")
        ),
        licence="Apache-2.0",
        note="DPG-Bench's VQA model, mPLUG-large (about 6 GB)",
    ),
    _dataset("pope", "lmms-lab/POPE", _TEST, "MIT; COCO pictures under their own terms", "9000 rows"),
    _dataset("mme", "lmms-lab/MME", _TEST, "not stated (research use)", "2374 rows"),
    _dataset("mmbench", "lmms-lab/MMBench", ("en/dev-*.parquet",), "Apache-2.0", "config en, split dev"),
    _dataset("seed-bench", "lmms-lab/SEED-Bench", _TEST, "CC BY-NC 4.0", "17990 rows, 14233 of them pictures"),
    _dataset(
        "gqa",
        "lmms-lab/GQA",
        ("testdev_balanced_instructions/*.parquet", "testdev_balanced_images/*.parquet"),
        "CC BY 4.0",
        "12578 questions, 398 pictures",
    ),
    _dataset("mmmu", "MMMU/MMMU", ("*/validation-*.parquet",), "Apache-2.0", "30 subjects, 900 rows"),
    _dataset("mm-vet", "lmms-lab/MMVet", _TEST, "CC BY-NC 4.0", "218 rows"),
    _dataset("mmstar", "Lin-Chen/MMStar", ("mmstar.parquet",), "not stated (research use)", "1500 rows"),
    _dataset("realworldqa", "xai-org/RealworldQA", _TEST, "CC BY-ND 4.0", "765 rows"),
    _dataset("ai2d", "lmms-lab/ai2d", _TEST, "not stated by the hub; AI2 Diagrams' own", "3088 rows"),
    _dataset("chartqa", "lmms-lab/ChartQA", _TEST, "GPL-3.0", "2500 rows"),
    _dataset("ocrbench", "echo840/OCRBench", _TEST, "not stated by the hub; its code MIT", "1000 rows"),
    _dataset("mmbench-cn", "lmms-lab/MMBench", ("cn/dev-*.parquet",), "Apache-2.0", "config cn, split dev"),
    _dataset("mmvp", "lmms-lab-eval/MMVP", ("data/train-*.parquet",), "MIT", "300 rows, two pairs' answers corrected"),
    _dataset("mmmu-pro", "MMMU/MMMU_Pro", ("standard (10 options)/test-*.parquet",), "Apache-2.0", "1730 rows"),
    _dataset("mmmu-pro-vision", "MMMU/MMMU_Pro", ("vision/test-*.parquet",), "Apache-2.0", "1730 rows"),
    _dataset("mathvista", "AI4Math/MathVista", ("data/testmini-*.parquet",), "CC BY-SA 4.0, no training", "1000 rows"),
    _dataset("gedit-bench", "stepfun-ai/GEdit-Bench", ("*.arrow", "*.parquet"), "MIT", "1212 rows, both languages"),
    _dataset("imgedit-bench", "sysuyy/ImgEdit", ("Benchmark.tar",), "not read", "737 edits, and what is not used here"),
    _tsv("pope", "VLMEval/POPE.tsv", "c12f5acb142f2ef1f85a26ba2fbe41d5"),
    _tsv("mme", "VLMEval/MME.tsv", "b36b43c3f09801f5d368627fb92187c3"),
    _tsv("mmbench", "benchmarks/MMBench/MMBench_DEV_EN.tsv", "b6caf1133a01c6bb705cf753bb527ed8"),
    _tsv("seed-bench", "benchmarks/SEEDBench/SEEDBench_IMG.tsv", "68017231464752261a2526d6ca3a10c0"),
    _tsv("gqa", "VLMEval/GQA_TestDev_Balanced.tsv", "99b62f22e224d9b2f32dcbe41359d1c9"),
    _tsv("mmmu", "VLMEval/MMMU_DEV_VAL.tsv", "585e8ad75e73f75dcad265dfd0417d64"),
    _tsv("mm-vet", "VLMEval/MMVet.tsv", "748aa6d4aa9d4de798306a63718455e3"),
    _tsv("mmstar", "VLMEval/MMStar.tsv", "e1ecd2140806c1b1bbf54b43372efb9e"),
    _tsv("realworldqa", "VLMEval/RealWorldQA.tsv", "4de008f55dc4fd008ca9e15321dc44b7"),
    _tsv("ai2d", "VLMEval/AI2D_TEST.tsv", "0f593e0d1c7df9a3d69bf1f947e71975"),
    _tsv("chartqa", "VLMEval/ChartQA_TEST.tsv", "c902e0aa9be5582a7aad6dcf52734b42"),
    _tsv("ocrbench", "VLMEval/OCRBench.tsv", "e953d98a987cc6e26ef717b61260b778"),
    _tsv("mmbench-cn", "benchmarks/MMBench/MMBench_DEV_CN.tsv", "08b8fc3324a5ed74155350f57be69fbd"),
    _tsv("mmvp", "VLMEval/MMVP.tsv", "8cb732b141a0cba5b42159df2839e557"),
    _tsv("mmmu-pro", "VLMEval/MMMU_Pro_10c.tsv", "22cee868fe6b680d14b99bfff6db8172"),
    _tsv("mmmu-pro-vision", "VLMEval/MMMU_Pro_V.tsv", "d01441a87b3dbe721b5a04652ae38009"),
    _tsv("mathvista", "VLMEval/MathVista_MINI.tsv", "f199b98e178e5a2a20e7048f5dcb0464"),
    _weights("janus-1.3b", "deepseek-ai/Janus-1.3B", _JANUS_LICENCE, "original format"),
    _weights("janusflow-1.3b", "deepseek-ai/JanusFlow-1.3B", _JANUS_LICENCE, "draws with sdxl-vae, below"),
    _weights(
        "sdxl-vae",
        "stabilityai/sdxl-vae",
        "MIT",
        "JanusFlow's picture decoder",
        ("config.json", "diffusion_pytorch_model.safetensors"),
    ),
    _weights("janus-pro-1b", "deepseek-ai/Janus-Pro-1B", _JANUS_LICENCE, "original format"),
    _weights("janus-pro-7b", "deepseek-ai/Janus-Pro-7B", _JANUS_LICENCE, "original format"),
    _weights("janus-pro-1b-native", "deepseek-community/Janus-Pro-1B", _JANUS_LICENCE, "transformers format"),
    _weights("janus-pro-7b-native", "deepseek-community/Janus-Pro-7B", _JANUS_LICENCE, "transformers format"),
    _weights(
        "sd3-medium",
        "stabilityai/stable-diffusion-3-medium-diffusers",
        "Stability AI Community License",
        "gated: accept the licence on the hub first",
    ),
    _weights("d-dit", "JleeOfficial/dual_diff_sd3_512_sft", _DDIT_LICENCE, "draws and answers"),
    _weights("d-dit-base", "JleeOfficial/dual_diff_sd3_512_base", _DDIT_LICENCE, "draws and captions"),
    _weights("d-dit-mask", "JleeOfficial/aligned_t5_mask_emb", _DDIT_LICENCE, "T5's embedding of the mask"),
)

CATALOGUE: tuple[Asset, ...] = tuple(
    replace(each, size=round(_MEGABYTES[each.name] * 1e6)) if each.name in _MEGABYTES else each for each in _ENTRIES
)
