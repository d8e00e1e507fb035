"""A recipe: everything from a corpus to a better retriever, as one file says it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from llmaug.errors import PlanError
from llmaug.retrieval.lexical import BM25, parse_bm25
from llmaug.retrieval.settings import Settings
from llmaug.training.marked_yaml import Marked, read_yaml
from llmaug.training.plan_paths import plan_beside
from llmaug.training.recipe_checks import contradictions
from llmaug.training.recipe_paths import placed, relative
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
from llmaug.training.settings import HIGHEST_SEED, GateSettings, check_seed
from llmaug.training.strict_fields import fields_of, shown

USUAL_SHARE = 0.2  # of the training queries that decide, where no dev is named
SWITCHED = ("human", "dev", "test", "mine", "gate", "index")  # may be true or false
SEEDED = ("mine", "train", "gate")  # take the recipe's seed where they have none
HIDDEN = ("folder", "ratios")


@dataclass(frozen=True)
class Recipe:
    """What is made of which corpus and model, stage by stage; see `read_recipe`.

    `folder` is that of the recipe's file. `vectors` is a store of the base's vectors that several
    recipes may share; None keeps them with the artefacts. A section that is None is not wanted.
    """

    corpus: str
    model: str
    output: str
    folder: Path
    vectors: str | None = None
    seed: int = 0
    generate: Generate | None = None
    filter: Filter = field(default_factory=Filter)
    human: Human | None = None
    dev: Dev | None = None
    test: Measured | None = None
    mine: Mine | None = field(default_factory=Mine)
    train: Train = field(default_factory=Train)
    gate: GateSettings | None = field(default_factory=GateSettings)
    saturation: tuple[float, ...] = ()
    index: Settings | None = None
    evaluate: Evaluate = field(default_factory=Evaluate)

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @property
    def teacher(self) -> str | None:
        """Who scores pairs: "fusion", a cross-encoder, or None."""
        return self.mine.teacher if self.mine else None

    def record(self) -> dict[str, Any]:
        """The recipe as JSON, the same wherever its folder and its output lie."""
        record = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in ("folder", "output", "vectors")
        }
        record["index"] = self.index and self.index.record()
        if ratios := record["train"].pop("ratios"):  # as they are written
            record["train"]["ratio"] = list(ratios)
        return self.placed_apart(record)

    def placed_apart(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """JSON in which paths below the recipe's folder start there, wherever that lies."""
        apart: dict[str, Any] = relative(record, self.folder)
        return apart


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a YAML file.

    Relative paths are taken from the file's folder; in plans, those of what is there. Sections
    that are not there have their defaults: no synthetic queries, no human ones, a fifth of the
    training queries as dev set, the gate on, no test. Raises `PlanError` with file and line for an
    unknown key, a value of another type than the field's, one that makes no sense, and for keys
    that contradict each other.
    """
    path = Path(path)
    marked = read_yaml(path)
    folder = path.absolute().parent
    given, ratios = _without_sweep(_completed(marked, folder))
    recipe = fields_of(
        given,
        Recipe,
        hidden=HIDDEN,
        homes=_homes(),
        readers={BM25: _bm25},
        defaults={"folder": folder, "output": path.stem},
    )
    try:
        recipe = replace(recipe, train=replace(recipe.train, ratios=ratios))
    except PlanError as error:
        raise PlanError(f"{given.value['train'].where}: train: {error}") from None
    if recipe.dev and recipe.dev.split is None and recipe.dev.of is None:
        of = "human" if recipe.human else "synthetic"
        recipe = replace(recipe, dev=replace(recipe.dev, of=of))
    if recipe.test and recipe.index is None and "index" not in marked.value:
        recipe = replace(recipe, index=Settings())
    for section, message in contradictions(recipe):
        where = marked.value[section].where if section in marked.value else str(path)
        raise PlanError(f"{where}: {message}")
    return placed(recipe)


def _completed(given: Marked, folder: Path) -> Marked:
    """The file's mapping with its switches as sections, and with the defaults that depend.

    The paths in plans are taken from the folder.
    """
    sections: dict[str, Marked] = dict(given.value)
    for name in SWITCHED:
        one = sections.get(name)
        if one is not None and isinstance(one.value, bool):
            sections[name] = Marked({} if one.value else None, one.where)
        elif one is not None and one.value is not None and not isinstance(one.value, dict):
            raise PlanError(
                f"{one.where}: {name} is {shown(one)}; it takes a mapping, true or false"
            )
    for name in ("generate", "filter"):
        one = sections.get(name)
        if one is not None and isinstance(one.value, dict) and "plan" in one.value:
            plan = one.value["plan"]
            beside = Marked(plan_beside(plan.value, folder), plan.where)
            sections[name] = Marked({**one.value, "plan": beside}, one.where)
    dev = sections.setdefault("dev", Marked({}, given.where))
    if isinstance(dev.value, dict) and not dev.value.keys() & {"split", "share", "count"}:
        share = Marked(USUAL_SHARE, dev.where)
        sections["dev"] = Marked({**dev.value, "share": share}, dev.where)
    seed = sections.get("seed")
    fits = seed is not None and type(seed.value) is int and 0 <= seed.value <= HIGHEST_SEED
    for name in SEEDED:
        one = sections.setdefault(name, Marked({}, given.where))
        if fits and isinstance(one.value, dict):
            sections[name] = Marked({"seed": seed, **one.value}, one.where)
    return Marked(sections, given.where)


def _without_sweep(given: Marked) -> tuple[Marked, tuple[float, ...]]:
    """The mapping without the list of ratios, if it has one, and that list."""
    train = given.value["train"]
    ratio = train.value.get("ratio") if isinstance(train.value, dict) else None
    if ratio is None or not isinstance(ratio.value, tuple):
        return given, ()
    ratios = fields_of(Marked({"ratio": ratio}, ratio.where), _Sweep, section="train").ratio
    if "ratios" in train.value:
        raise PlanError(f"{train.where}: write the list under ratio")
    rest, _ = train.without("ratio")
    return Marked({**given.value, "train": rest}, given.where), ratios


@dataclass(frozen=True)
class _Sweep:
    ratio: tuple[float, ...]


def _bm25(given: Marked) -> BM25:
    if not isinstance(given.value, str):
        raise PlanError(f"{given.where}: lexical is written like bm25(k1=0.9, b=0.4), or null")
    try:
        return parse_bm25(given.value)
    except PlanError as error:
        raise PlanError(f"{given.where}: {error}") from None


def _homes() -> Mapping[str, str]:
    """The section of each field that only one section has."""
    found: dict[str, set[str]] = {}
    for section, kind in _sections(Recipe, ""):
        for one in dataclasses.fields(kind):
            if one.name not in HIDDEN:
                found.setdefault(one.name, set()).add(section)
    return {name: sections.pop() for name, sections in found.items() if len(sections) == 1}


def _sections(kind: Any, section: str) -> Iterator[tuple[str, Any]]:
    yield section, kind
    for name, hint in get_type_hints(kind).items():
        for one in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(one) and one is not BM25:
                yield from _sections(one, f"{section}.{name}" if section else name)
