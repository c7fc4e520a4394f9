"""Adapters of training (LoRA) in a model's folder: they are merged into the model before it is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..evals.errors import EnvironmentProblem

MERGE: Final = "merge the adapter into its base model first (PEFT's merge_and_unload, then save_pretrained)"
CONFIG: Final = "adapter_config.json"


def must_be_alone(folder: Path) -> None:
    """Raise EnvironmentProblem where an adapter lies beside a whole model's weights.

    Whether it is applied would depend on what is installed (transformers does it where PEFT is).
    """
    if (folder / CONFIG).is_file():
        raise EnvironmentProblem(
            f"{folder} holds a whole model and a LoRA adapter ({CONFIG}): which of them is meant? "
            f"Move the adapter's files elsewhere, or {MERGE}"
        )
