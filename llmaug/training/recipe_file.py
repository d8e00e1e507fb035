"""A recipe: everything from a corpus to a better retriever, as one file says it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from llmaug.errors import PlanError
from llmaug.known_models import MODELS
from llmaug.retrieval.catalogues import PREFIXES
from llmaug.retrieval.lexical import BM25, parse_bm25
from llmaug.retrieval.settings import Settings
from llmaug.training.marked_yaml import Marked, read_yaml
from llmaug.training.recipe_checks import contradictions
from llmaug.training.recipe_sections import (
    FUSION,
    Dev,
    Evaluate,
    Filter,
    Generate,
    Human,
    Measured,
    Mine,
    Train,
)
from llmaug.training.settings import GateSettings
from llmaug.training.strict_fields import fields_of
from llmaug.vocabulary import parse

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
        return self.placed_apart(record)

    def placed_apart(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """JSON in which paths below the recipe's folder start there, wherever that lies."""
        relative: dict[str, Any] = _relative(record, self.folder)
        return relative


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a YAML file.

    Relative paths are taken from the file's folder. Sections that are not there have their
    defaults: no synthetic queries, no human ones, a fifth of the training queries as dev set, the
    gate on, no test. Raises `PlanError` with file and line for an unknown key, a value of another
    type than the field's, one that makes no sense, and for keys that contradict each other.
    """
    path = Path(path)
    marked = read_yaml(path)
    folder = path.absolute().parent
    given, ratios = _without_sweep(_completed(marked))
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
    return _placed(recipe)


def _completed(given: Marked) -> Marked:
    """The file's mapping with its switches as sections, and with the defaults that depend."""
    sections: dict[str, Marked] = dict(given.value)
    for name in SWITCHED:
        one = sections.get(name)
        if one is not None and isinstance(one.value, bool):
            sections[name] = Marked({} if one.value else None, one.where)
    dev = sections.setdefault("dev", Marked({}, given.where))
    if isinstance(dev.value, dict) and not dev.value.keys() & {"split", "share", "count"}:
        share = Marked(USUAL_SHARE, dev.where)
        sections["dev"] = Marked({**dev.value, "share": share}, dev.where)
    seed = sections.get("seed")
    for name in SEEDED:
        one = sections.setdefault(name, Marked({}, given.where))
        if seed is not None and type(seed.value) is int and isinstance(one.value, dict):
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


def _placed(recipe: Recipe) -> Recipe:
    """The recipe with every path taken from its folder, and plans in their usual spelling."""
    folder = recipe.folder

    def beside(name: str) -> str:
        return str(folder / Path(name).expanduser())

    def collection(name: str) -> str:
        return name if name.startswith(PREFIXES) else beside(name)

    def model(name: str) -> str:
        """A folder that is there, else a short name or one on a hub."""
        here = name not in MODELS and Path(beside(name)).exists()
        return beside(name) if here or name.startswith((".", "~")) else name

    generate, test, mine = recipe.generate, recipe.test, recipe.mine
    if generate and generate.pairs:
        generate = replace(generate, pairs=beside(generate.pairs))
    if generate and generate.plan:
        generate = replace(generate, plan=str(parse(generate.plan)))
    if generate and generate.lm:
        kind, colon, name = generate.lm.partition(":")
        generate = replace(generate, lm=f"{kind}{colon}{model(name) if name else name}")
    if test:
        test = replace(test, also=tuple(map(collection, test.also)))
    if mine and mine.teacher and mine.teacher != FUSION:
        mine = replace(mine, teacher=model(mine.teacher))
    plan = recipe.filter.plan and str(parse(recipe.filter.plan))
    return replace(
        recipe,
        filter=replace(recipe.filter, plan=plan),
        corpus=collection(recipe.corpus),
        model=model(recipe.model),
        output=beside(recipe.output),
        vectors=recipe.vectors and beside(recipe.vectors),
        generate=generate,
        test=test,
        mine=mine,
    )


def _relative(value: Any, folder: Path) -> Any:
    """A JSON value in which paths below the folder, also those in KIND:PATH, start there."""
    if isinstance(value, Mapping):
        return {name: _relative(one, folder) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_relative(one, folder) for one in value]
    if not isinstance(value, str) or folder == folder.parent:
        return value
    return value.removeprefix(f"{folder}/").replace(f":{folder}/", ":")
