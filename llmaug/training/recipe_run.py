"""A recipe that is being carried out: what all its stages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.errors import PlanError
from llmaug.request import Embedder
from llmaug.retrieval.collection import Collection
from llmaug.retrieval.dense import Progress
from llmaug.retrieval.index import Index
from llmaug.retrieval.settings import Settings
from llmaug.training.ledger import Ledger
from llmaug.training.recipe_file import Recipe


@dataclass
class RecipeRun:
    """A recipe that is being carried out: what all its stages share.

    `digests` holds that of each stage so far, by which a later one knows whether what it reads
    has changed.
    """

    recipe: Recipe
    ledger: Ledger
    allow_leakage: bool
    progress: Progress
    said: Callable[[str], None]

    def __post_init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.counts: dict[str, dict[str, Any]] = {}

    def told(self, stage: str, counts: dict[str, Any], line: str) -> None:
        """Note what a stage came to, and say it."""
        self.counts[stage] = counts
        self.said(f"{stage}: {line}")

    @cached_property
    def base(self) -> Embedder:
        """The model before training."""
        return embedder_named(self.recipe.model)

    @cached_property
    def collection(self) -> Collection:
        """The corpus, with the test's queries and judgements where there is a test."""
        recipe = self.recipe
        if recipe.test is None:
            corpus = Collection.read(recipe.corpus)
            return Collection(corpus.name, corpus.documents)
        return self.split(recipe.test.split)

    def split(self, name: str) -> Collection:
        """The corpus with the judged queries of a split; raises `PlanError` where it has none."""
        found = Collection.read(self.recipe.corpus, split=name)
        if not found.judged_queries:
            raise PlanError(f"{found.name} has no judged queries in the split {name!r}")
        return found

    @cached_property
    def base_index(self) -> Index:
        """The corpus under the model before training and under BM25."""
        inputs = {"corpus": self.corpus_mark, "model": self.base.fingerprint}
        with self.ledger.stage("base", inputs=inputs) as stage:
            if not stage.done:
                Index.build(
                    Collection(self.collection.name, self.collection.documents),
                    stage.folder / "index",
                    embedder=self.base,
                    settings=Settings(),
                    vectors=self.recipe.vectors,
                    progress=self.progress,
                )
        self.digests["base"] = stage.digest
        return Index.open(stage.folder / "index", embedder=self.base)

    @cached_property
    def corpus_mark(self) -> str:
        """What tells this corpus from another."""
        return str(self.collection.documents.fingerprint())  # type: ignore[attr-defined]
