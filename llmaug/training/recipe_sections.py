"""The sections of a recipe that no stage's own settings hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmaug.errors import LlmaugError, PlanError, did_you_mean
from llmaug.formats.fields import short
from llmaug.plan import walk
from llmaug.retrieval.measure_names import measures
from llmaug.retrieval.qrels import SPLIT
from llmaug.training.pairs import ORIGINS
from llmaug.training.settings import MiningSettings, TrainingSettings
from llmaug.vocabulary import parse

FUSION = "fusion"
SCORE = "relevance"  # the field in which a filter says how good a query is
LEAKS = ("refuse", "drop")
FILTERING = ("embedder", "index")  # what the steps of a plan can use
GENERATING = ("lm", *FILTERING)
NO_QUERIES = {  # prompts that write passages, by what these are
    "negative_passage": "what does not answer",
    "passage_rewrite": "passages and no queries",
}


@dataclass(frozen=True)
class Generate:
    """Where synthetic queries come from: a plan on documents, or queries written earlier.

    `documents` is how many sources are drawn, None for all; with `test_documents` those that
    answer the test may be among them. `pairs` is a file of pairs or what `llmaug augment` wrote.
    """

    plan: str | None = None
    lm: str | None = None
    base_url: str | None = None
    lm_options: Mapping[str, Any] = field(default_factory=dict)
    window: int | None = None
    documents: int | None = None
    test_documents: bool = False
    pairs: str | None = None

    def __post_init__(self) -> None:
        if (self.plan is None) == (self.pairs is None):
            raise PlanError("give either plan and lm, or pairs, and not both")
        others = (self.lm, self.base_url, self.lm_options, self.window, self.documents)
        if self.pairs is not None and any(others):
            raise PlanError("pairs are written already: only test_documents goes with them")
        if self.plan is not None and "lm" in _uses(self.plan, given=GENERATING) and not self.lm:
            raise PlanError("lm is missing: the plan asks a language model")
        for name in sorted(NO_QUERIES.keys() & (_prompts(self.plan) if self.plan else ())):
            raise PlanError(
                f"plan has {name}, which writes {NO_QUERIES[name]}, and a recipe trains on all "
                "that its plan writes as queries which the passage answers; leave it out"
            )
        if "key" in self.lm_options or "@" in (self.base_url or ""):
            raise PlanError("a key comes from the environment only: set LLMAUG_API_KEY")
        _at_least("window", self.window, 1)
        _at_least("documents", self.documents, 1)


@dataclass(frozen=True)
class Filter:
    """Which synthetic queries go on; each filter but that for leakage is off at None.

    `plan` has steps that look at one query. The rest looks at all: the share of the lowest scores
    that goes (`quantile`), the cosine from which two queries are the same (`near`), the most
    queries of a document, and the cosine and length of n-grams at which a query leaks the test,
    None for those of `leaks`.
    """

    plan: str | None = None
    quantile: float | None = None
    near: float | None = None
    per_document: int | None = None
    leakage_cosine: float | None = None
    leakage_ngram: int | None = None

    def __post_init__(self) -> None:
        if self.plan is not None:
            _uses(self.plan, given=FILTERING)
        if self.quantile is not None and not 0 <= self.quantile < 1:
            raise PlanError(f"quantile is a share from 0 to below 1, not {self.quantile}")
        for name in ("near", "leakage_cosine"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise PlanError(f"{name} is a cosine above 0 and at most 1, not {value}")
        _at_least("per_document", self.per_document, 1)
        _at_least("leakage_ngram", self.leakage_ngram, 1)

    @property
    def gives_scores(self) -> bool:
        """Whether the plan says how good a query is."""
        return self.plan is not None and any(SCORE in one.gives for one in walk(parse(self.plan)))


@dataclass(frozen=True)
class Human:
    """Which split's judged queries are trained on.

    `leaks` says what happens where one is too close to a query of the test: "refuse" stops,
    "drop" leaves it out. Without `test_documents`, pairs whose document answers a query of the
    test are left out too.
    """

    split: str = "train"
    leaks: str = "refuse"
    test_documents: bool = True

    def __post_init__(self) -> None:
        if self.leaks not in LEAKS:
            raise PlanError(
                f"leaks is {short(repr(self.leaks))}; {did_you_mean(self.leaks, LEAKS)}"
            )


@dataclass(frozen=True)
class Dev:
    """The queries that decide: a split, or a share or number of the training queries taken out.

    They search among `pool` documents, None for all; a smaller corpus is searched whole. `of` says
    whose queries are taken out; None for a split's own.
    """

    split: str | None = None
    share: float | None = None
    count: int | None = None
    pool: int | None = 20_000
    of: str | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.split, self.share, self.count)) != 1:
            raise PlanError("give one of split, share and count")
        if self.share is not None and not 0 < self.share < 1:
            raise PlanError(f"share is above 0 and below 1, not {self.share}")
        if self.of is not None and self.of not in ORIGINS:
            raise PlanError(f"of is {short(repr(self.of))}; {did_you_mean(self.of, ORIGINS)}")
        if self.of is not None and self.split is not None:
            raise PlanError("of does not go with split, which has its own queries")
        _at_least("count", self.count, 1)
        _at_least("pool", self.pool, 1)


@dataclass(frozen=True)
class Measured:
    """What the result is measured on: a split of the corpus, and of other collections."""

    split: str = SPLIT
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mine(MiningSettings):
    """How negatives are mined, and who is the teacher.

    `teacher` is "fusion" (of BM25 and the base), the folder or name of a cross-encoder, or None.
    `dense_weight` is the base's share in the fusion: less where the base is weak beside BM25.
    """

    teacher: str | None = None
    dense_weight: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dense_weight <= 1:
            raise PlanError(f"dense_weight is a share from 0 to 1, not {self.dense_weight}")


@dataclass(frozen=True)
class Train(TrainingSettings):
    """How the model is trained; `ratios` are tried one by one in the place of `ratio`."""

    ratios: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(ratio < 0 for ratio in self.ratios) or len({*self.ratios}) < len(self.ratios):
            raise PlanError("ratio is a list of numbers of at least 0, each different")


@dataclass(frozen=True)
class Evaluate:
    """What is measured, by names such as nDCG@10."""

    measures: tuple[str, ...] = ("nDCG@10", "R@100")

    def __post_init__(self) -> None:
        measures(self.measures)


def _uses(plan: str, *, given: Collection[str]) -> frozenset[str]:
    """What a plan needs to run; raises `PlanError` where it is none, or needs what is not given."""
    try:
        steps = walk(parse(plan))
        for step in steps:
            step.check()
    except LlmaugError as error:  # also of a model's folder
        raise PlanError(f"plan is wrong: {error}") from None
    for step in reversed(steps):  # the innermost at fault
        if others := step.uses - {*given}:
            hint = "; put it into generate.plan" if others == {"lm"} else ""
            raise PlanError(
                f"plan has {short(str(step))}, which needs the {' and '.join(sorted(others))}, and "
                f"there is only the {' and the '.join(given)}{hint}"
            )
    return frozenset(name for step in steps for name in step.uses)


def _prompts(plan: str) -> set[str]:
    """The prompts that the steps of a plan ask with."""
    return {getattr(step, "prompt", "") for step in walk(parse(plan))}


def _at_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise PlanError(f"{name} must be at least {least}, not {value}")
