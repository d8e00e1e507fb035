"""docs/recipe.md: every key of a recipe stands there, with its default, and nothing else does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from llmaug.retrieval.settings import Settings
from llmaug.training.recipe_file import HIDDEN, SEEDED, Recipe, read_recipe
from llmaug.training.recipe_sections import (
    Dev,
    Evaluate,
    Filter,
    Generate,
    Human,
    Measured,
    Mine,
    Train,
)
from llmaug.training.settings import GateSettings, LossSettings

PAGE = (Path(__file__).parent.parent / "docs" / "recipe.md").read_text(encoding="utf-8")
SECTIONS = {
    "The file itself": Recipe,
    "generate": Generate,
    "filter": Filter,
    "human": Human,
    "dev": Dev,
    "test": Measured,
    "mine": Mine,
    "train": Train,
    "train.loss": LossSettings,
    "gate": GateSettings,
    "index": Settings,
    "evaluate": Evaluate,
}
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)


def rows(section: str) -> dict[str, str]:
    """The keys of a section of the page, each with its default."""
    (part,) = (p for p in PAGE.split("\n## ") if p.startswith(f"{section}\n"))
    found = ROW.findall(part)
    assert len(found) == part.count("\n| `"), "a row is not KEY, DEFAULT, MEANING"
    return {name: default for name, default, _ in found}


def fields(kind: type) -> dict[str, dataclasses.Field[object]]:
    return {field.name: field for field in dataclasses.fields(kind) if field.name not in HIDDEN}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_stands_in_the_reference_and_no_other(section: str) -> None:
    assert rows(section).keys() == fields(SECTIONS[section]).keys()


@pytest.mark.parametrize("section", [name for name in SECTIONS if name != "The file itself"])
def test_every_default_is_the_one_of_the_code(section: str) -> None:
    for name, field in fields(SECTIONS[section]).items():
        said = rows(section)[name]
        if name == "seed" and section in SEEDED:
            assert said == "the recipe's"
        elif name == "lexical":
            assert said == "`bm25()`"
        elif name == "loss":
            assert said == "see below"
        else:
            made = field.default_factory
            default = field.default if made is dataclasses.MISSING else made()
            value = yaml.safe_load(said.strip("`"))
            assert value == (list(default) if isinstance(default, tuple) else default), name


def test_the_page_has_no_section_that_a_recipe_lacks() -> None:
    assert re.findall("^## (.+)$", PAGE, re.MULTILINE) == list(SECTIONS)


def test_the_example_reads(tmp_path: Path) -> None:
    (example,) = re.findall("```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "recipe.yaml").write_text(example)
    recipe = read_recipe(tmp_path / "recipe.yaml")
    assert recipe.generate is not None
    assert recipe.test is not None
