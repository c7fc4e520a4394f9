"""BAGEL and OmniGen2 as the docs have them asked, of a server that speaks the form of vLLM-Omni's images endpoint.

The form is that of vllm-omni 0.30.0 (Apache-2.0): `ImageGenerationRequest` of entrypoints/openai/protocol/images.py,
what api_server.py does with it, and what diffusion/models/bagel and omnigen2 read of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals.commands.cli import main
from janus_eval.evals.stored import Stored
from PIL import Image
from support.images_server import Studio, painting

PAGE = Path(__file__).parents[2] / "docs" / "endpoints.md"
WORDS = ("prompt", "model", "size", "negative_prompt", "generator_device", "system_prompt", "output_format")
WHOLE = {"n": (1, 10), "num_inference_steps": (1, 200), "seed": (-(2**63), 2**63 - 1)}
NUMBERS = {"guidance_scale": (0, 20), "true_cfg_scale": (0, 20)}


@dataclass
class Omni(Studio):
    """The server with one model; fields that it does not know it passes over, as pydantic does by default."""

    model: str = ""

    def __post_init__(self) -> None:
        self.wrong_with = self.wrong

    def wrong(self, body: dict[str, Any]) -> str:
        if body.get("model") not in (None, self.model):
            return f"Model mismatch: request specifies '{body['model']}' but server is running '{self.model}'."
        for name in WORDS:
            if not isinstance(body.get(name, "x"), str):
                return f"{name}: Input should be a valid string"
        for names, kinds in ((WHOLE, (int,)), (NUMBERS, (int, float))):
            for name, (least, most) in names.items():
                if name in body and not (isinstance(body[name], kinds) and least <= body[name] <= most):
                    return f"{name}: Input should be between {least} and {most}"
        if body.get("response_format", "b64_json") not in ("b64_json", "file"):
            return "Only 'b64_json' or 'file' response format is supported"
        if not re.fullmatch(r"\d+x\d+", body.get("size", "1x1")) or not isinstance(body.get("extra_params", {}), dict):
            return "size must be in format 'WIDTHxHEIGHT'; extra_params is a dictionary"
        return ""

    def heard(self, body: dict[str, Any]) -> str:
        steps = body.get("num_inference_steps")
        if "BAGEL" in self.model:  # its guidance is looked for among the model's own parameters alone
            return f"{steps or 50} {body.get('extra_params', {}).get('cfg_text_scale', 4.0)}"
        return f"{steps or 28} {body.get('guidance_scale', 4.0)}"


@pytest.fixture
def omni(monkeypatch: pytest.MonkeyPatch) -> Iterator[Omni]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key-0123456789")
    with painting(Omni()) as running:
        yield running


def documented(name: str) -> list[str]:
    """Return the page's command that draws with a model."""
    (line,) = [
        each
        for each in PAGE.read_text(encoding="utf-8").splitlines()
        if each.startswith(f"janus-eval run -m openai:{name} ") and " -b geneval" in each
    ]
    return shlex.split(line, comments=True)[1:]


def run(omni: Omni, name: str, tmp_path: Path, **options: str) -> tuple[int, Path]:
    """Run the documented command with the server's address, two prompts and other options; its exit code and folder."""
    line = documented(name)
    line[line.index("--base-url") + 1] = omni.url
    line[line.index("-b") + 1] = "prompts"
    for option, value in options.items():
        found = [n for n, word in enumerate(line) if word.startswith(f"{option}=")]
        line += [] if found else ["-a", f"{option}={value}"]
        for n in found:
            line[n] = f"{option}={value}"
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red apple\ntwo dogs\n")
    out = tmp_path / f"runs{len(list(tmp_path.glob('runs*')))}"
    return main([*line, "--data", str(prompts), "-o", str(out)]), out


def drawn(omni: Omni, name: str, tmp_path: Path, **options: str) -> set[bytes]:
    """Return the pictures of a run, as pixels."""
    omni.model = name
    code, out = run(omni, name, tmp_path, **options)
    assert code == 0
    (folder,) = out.iterdir()
    found = [each.image for each in Stored(folder).predictions().values() if each.image]
    return {Image.open(each).tobytes() for each in found}


@pytest.mark.parametrize("name", ["ByteDance-Seed/BAGEL-7B-MoT", "OmniGen2/OmniGen2"])
def test_the_documented_command_draws_and_its_canary_passes(omni: Omni, name: str, tmp_path: Path) -> None:
    assert len(drawn(omni, name, tmp_path)) == 2
    assert omni.billed == len(omni.asked) == 6  # four are the canary's
    for body in omni.asked:
        assert (body["n"], body["size"], body["num_inference_steps"]) == (1, "1024x1024", 50)
        assert body["response_format"] == "b64_json" and 0 <= body["seed"] < 2**31


def test_bagel_hears_the_documented_guidance_and_not_the_common_field(omni: Omni, tmp_path: Path) -> None:
    name = "ByteDance-Seed/BAGEL-7B-MoT"
    before = drawn(omni, name, tmp_path)
    assert omni.asked[-1]["extra_params"] == {"cfg_text_scale": 4.0} and "guidance_scale" not in omni.asked[-1]
    assert drawn(omni, name, tmp_path, guidance="9") == before
    assert drawn(omni, name, tmp_path, extra='{"cfg_text_scale": 9}') == before
    other = drawn(omni, name, tmp_path, extra='{"extra_params": {"cfg_text_scale": 9}}')
    assert not other & before


def test_omnigen2_hears_the_common_field(omni: Omni, tmp_path: Path) -> None:
    before = drawn(omni, "OmniGen2/OmniGen2", tmp_path)
    assert omni.asked[-1]["guidance_scale"] == 4.0
    assert not drawn(omni, "OmniGen2/OmniGen2", tmp_path, guidance="9") & before


def test_another_model_than_the_server_s_is_told(
    omni: Omni, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    omni.model = "ByteDance-Seed/BAGEL-7B-MoT"
    code, _ = run(omni, "OmniGen2/OmniGen2", tmp_path)
    told = "".join(capsys.readouterr())
    assert code == 5 and "server is running 'ByteDance-Seed/BAGEL-7B-MoT'" in told and omni.billed == 0, told
