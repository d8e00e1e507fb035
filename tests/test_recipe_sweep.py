"""Several ratios, tried on the dev queries by which the gate decides afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recipe_corpus import FAKE, HUMAN, LEARN, done, recipe_folder

from llmaug.training.recipe import RecipeResult
from llmaug.training.stage_saturation import PICTURE

pytest.importorskip("sentence_transformers")


def train(ratio: str) -> str:
    return "train: " + LEARN.replace("epochs: 12", f"epochs: 4, ratio: {ratio}") + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def swept(folder: Path, lines: list[str]) -> RecipeResult:
    text = HUMAN + FAKE + train("[0, 9, 7, 0.5]") + "saturation: [1.0]\n"
    return done(folder, text, output=folder / "swept", said=lines.append)


def test_ratios_above_what_there_is_are_trained_once(swept: RecipeResult, lines: list[str]) -> None:
    counts = swept.counts["train"]
    assert [row["ratio"] for row in counts["sweep"]] == [0, 0.5, 7]
    most = swept.counts["filter"]["synthetic"] / swept.counts["filter"]["human"]
    assert [row["effective"] for row in counts["sweep"]] == [0, 0.5, pytest.approx(most)]
    assert any(f"{most:.3g} synthetic pairs for a human one: ratio 7, 9" in line for line in lines)


def test_the_gate_shares_its_level_among_the_trainings(swept: RecipeResult) -> None:
    decision = json.loads((swept.folder / "gate" / "decision.json").read_text())
    assert (decision["trainings"], decision["settings"]["alpha"]) == (3, 0.05)
    assert "at level 0.0167 (0.05 for 3 trainings" in decision["reason"]
    assert swept.model is not None
    card = (swept.model / "README.md").read_text()
    assert "corrected p of at most 0.0167, one-sided (0.05 for 3 trainings" in card
    for row in swept.counts["train"]["sweep"]:
        assert f"| {row['mean']:.4f} | {row['difference']:+.4f} ± {row['error']:.4f} |" in card


def test_one_ratio_is_no_choice(folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = done(folder, HUMAN + FAKE + train("7"), output=tmp_path / "out", said=lines.append)
    assert result.counts["train"]["effective_ratio"] < 7
    assert any("ratio 7 is cut" in line for line in lines)
    assert not any("chosen" in line for line in lines)
    decision = json.loads((result.folder / "gate" / "decision.json").read_text())
    assert decision["trainings"] == 1
    assert result.model is not None
    assert "all that there are; asked for were 7." in (result.model / "README.md").read_text()


def test_the_curve_says_what_human_queries_bring_alone(swept: RecipeResult) -> None:
    counts = swept.counts["saturation"]
    assert counts["base"] < counts["human"]
    assert swept.model is not None
    card = (swept.model / "README.md").read_text()
    assert f"| none (human ones alone) | {counts['human']:.4f} [" in card
    assert (swept.model / PICTURE).exists()
