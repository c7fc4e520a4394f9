"""Write trained networks as the folders that the package ships: `python train/export.py WHAT TRAINED... --to DIR`.

WHAT is janus (the language model's and the picture tokenizer's training folders), detector, clip or vqa.
Weights are stored as fp16 safetensors; SHA256SUMS lists the files, and its own SHA-256 is printed
and belongs into the package's tables of digests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from janus_eval.evals.assets.digests import SUMS, sums
from machine import kept
from torch import Tensor


def trained_parts(folder: Path, *needed: str) -> dict[str, Any]:
    """Return a training's last checkpoint. Raises SystemExit where there is none."""
    found = kept(folder, *needed)
    if found is None:
        raise SystemExit(f"{folder} holds no checkpoint")
    return found


def half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous fp16 copies; raises where a value does not fit."""
    found = {name: each.detach().half().contiguous() for name, each in tensors.items() if each.is_floating_point()}
    for name, each in found.items():
        if not torch.isfinite(each).all():
            raise ValueError(f"{name} does not fit into fp16")
    return found


def store(folder: Path, tensors: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file

    save_file(half(tensors), folder / "model.safetensors", metadata={"format": "pt"})


_SWIN = "model.pixel_level_module.encoder."
_OLDER = (
    (r"^swin\.", ""),
    (r"\.attention\.([qkv])_proj\.", lambda found: f".attention.self.{_LONG[found[1]]}."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.attention\.relative_position_bias\.(?=relative_position_bias_table$)", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
_LONG = {"q": "query", "k": "key", "v": "value"}


def older(name: str) -> str:
    """Return a tensor's name as transformers 4.57 has it; every later version reads that one too."""
    if not name.startswith(_SWIN):
        return name
    inner = name.removeprefix(_SWIN)
    for pattern, new in _OLDER:
        inner = re.sub(pattern, new, inner)
    return _SWIN + inner


def janus(trained: list[Path], folder: Path, guidance: float, temperature: float) -> None:
    import tokenizer as words
    from network import Factored
    from pupil import Pupil

    language, pictures = trained_parts(trained[0], "pupil"), trained_parts(trained[1], "vq")
    pupil = Pupil()
    pupil.load_state_dict(language["pupil"])
    model = pupil.janus
    assert isinstance(pupil.factored, Factored)
    pupil.factored.write(model)
    model.model.vqmodel.load_state_dict(pictures["vq"])
    words.save(folder)
    model.config.save_pretrained(folder)
    store(folder, model.state_dict())
    size = model.config.vision_config.image_size
    preprocessor = {
        "image_processor_type": "JanusImageProcessor",
        "size": {"height": size, "width": size},
        "min_size": 14,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "rescale_factor": 1 / 255,
    }
    recipe = {"guidance": guidance, "temperature": temperature}
    steps = {"language_steps": language["step"], "picture_steps": pictures["step"]}
    for name, table in (("preprocessor_config", preprocessor), ("recipe", {**recipe, **steps})):
        (folder / f"{name}.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def detector(trained: list[Path], folder: Path) -> None:
    from dataclasses import asdict

    from detector import network
    from janus_eval.benchmarks.geneval.detector.folder import SETTINGS_FILE, load, response
    from janus_eval.benchmarks.geneval.detector.pixels import Settings

    found = trained_parts(trained[0], "model")
    model = network()
    model.load_state_dict(found["model"])
    model.config.architectures = ["Mask2FormerForUniversalSegmentation"]
    model.config.save_pretrained(folder)
    store(folder, {older(name): each for name, each in model.state_dict().items()})
    settings = asdict(Settings(scale=(64, 64), max_per_image=16))
    row = {**settings, "source": {"trained": "train/detector.py", "steps": found["step"]}}
    row["weights_sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    row["response"] = response(load(str(folder)))
    (folder / SETTINGS_FILE).write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


def clip(trained: list[Path], folder: Path) -> None:
    if not (trained[0] / "model.safetensors").is_file():
        raise SystemExit(f"{trained[0]} holds no finished training")
    for name in ("config.json", "merges.txt", "model.safetensors", "tokenizer_config.json", "vocab.json"):
        shutil.copyfile(trained[0] / name, folder / name)


def vqa(trained: list[Path], folder: Path) -> None:
    network = trained_parts(trained[0], "network")["network"]
    for name in ("config.yaml", "config_bert.json", "vocab.txt"):
        shutil.copyfile(trained[0] / name, folder / name)
    store(folder, network)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("janus", "detector", "clip", "vqa"))
    parser.add_argument("trained", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--guidance", type=float, default=1.35)
    parser.add_argument("--temperature", type=float, default=0.6)
    args = parser.parse_args()
    if len(args.trained) != (2 if args.what == "janus" else 1):
        parser.error(f"{args.what}: {'two folders, of janus and of vq' if args.what == 'janus' else 'one folder'}")
    if args.to.resolve() in (each.resolve() for each in args.trained):
        parser.error("--to: another folder than that of the training")
    args.to.mkdir(parents=True, exist_ok=True)
    if args.what == "janus":
        janus(args.trained, args.to, args.guidance, args.temperature)
    else:
        {"detector": detector, "clip": clip, "vqa": vqa}[args.what](args.trained, args.to)
    listed = sums(args.to)
    (args.to / SUMS).write_text(listed, encoding="utf-8")
    size = (args.to / "model.safetensors").stat().st_size / 1e6
    print(f"{args.to}: {size:.2f} MB, SHA-256 of {SUMS} {hashlib.sha256(listed.encode()).hexdigest()}")


if __name__ == "__main__":
    main()
