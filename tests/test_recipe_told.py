"""What a recipe says on its way, and what its card then holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_corpus import HUMAN, done, recipe_folder

pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


def line_of(stage: str, lines: list[str]) -> str:
    (found,) = (line for line in lines if line.startswith(f"{stage}: "))
    return found


@pytest.mark.parametrize(("fewest", "warned"), [(24, False), (25, True)])
def test_too_few_dev_queries_are_said_before_training(
    folder: Path, tmp_path: Path, fewest: int, warned: bool
) -> None:
    lines: list[str] = []
    text = HUMAN + f"gate: {{fewest: {fewest}}}\n"
    done(folder, text, output=tmp_path / "out", until="filter", said=lines.append)
    line = line_of("filter", lines)
    assert "24 dev queries" in line
    assert ("(the gate asks for 25: it will keep the base)" in line) is warned


def test_cut_passages_and_what_was_tried_are_on_the_card(folder: Path, tmp_path: Path) -> None:
    plan = "generate: {plan: 'doc2query(tokens=5)', lm: 'fake:', documents: 40}\n"
    lines: list[str] = []
    result = done(
        folder,
        HUMAN + plan + "saturation: [1]\n",
        output=tmp_path / "out",
        said=lines.append,
    )
    cut = result.counts["generate"]["cut"]
    assert cut["cut"] == cut["passages"] > 0
    assert f"{cut['cut']} of {cut['cut']} passages were cut at 5 tokens" in line_of(
        "generate", lines
    )
    assert result.model is not None
    card = (result.model / "README.md").read_text()
    assert f"{cut['cut']} of {cut['cut']} passages were cut at 5 tokens" in card
    for start in ("| none (base) | ", "| none (human ones alone) | "):
        (row,) = (line for line in card.splitlines() if line.startswith(start))
        assert "[" in row
    for text in ("## Training", "| steps | ", "| pairs a second | ", "| candidates | "):
        assert text in card, text
