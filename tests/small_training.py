"""Mined pairs of a small corpus, for tests that train on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmaug.training.mined import MinedPair, Negative, Scores
from llmaug.training.pairs import Pair
from llmaug.training.settings import LossSettings, TrainingSettings

ABOUT = ("film", "kettle", "gene", "battery", "dogs", "coffee", "heart")
HOW = ("good", "bad", "quiet", "risk", "camping")
DOCUMENTS = {
    f"d{number}": f"the {ABOUT[number % 7]} was {HOW[number % 5]} after {number} days"
    for number in range(40)
}


def mined_pairs(count: int = 40, *, negatives: int = 2, teacher: bool = False) -> list[MinedPair]:
    """Pairs of a query and its document, every second one human, with the documents after it."""
    return [
        MinedPair(
            Pair(
                f"q{number}",
                f"which {ABOUT[number % 7]} is {HOW[number % 5]} after {number}",
                f"d{number}",
                "synthetic" if number % 2 else "human",
            ),
            Scores(dense=0.5, teacher=0.9 if teacher else None),
            tuple(
                Negative(
                    f"d{(number + place) % 40}",
                    "dense",
                    place,
                    Scores(dense=number / 100, teacher=0.1 * place if teacher else None),
                )
                for place in range(1, negatives + 1)
            ),
        )
        for number in range(count)
    ]


def small_settings(*, loss: dict[str, Any] | None = None, **changed: Any) -> TrainingSettings:
    """Twenty steps of four pairs, a checkpoint after ten."""
    asked = {"epochs": 2, "batch": 4, "learning_rate": 1e-3, "checkpoint": 10} | changed
    return TrainingSettings(loss=LossSettings(**{"mini_batch": 2} | (loss or {})), **asked)


def tensors_of(folder: Path) -> dict[str, Any]:
    """Every tensor below a folder, by file and name."""
    from safetensors.torch import load_file

    return {
        f"{path.relative_to(folder)}: {name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }
