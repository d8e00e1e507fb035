"""A recipe that is being carried out: what all its stages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.embedders.sentence import SentenceEmbedder
from llmaug.errors import ModelError, PlanError
from llmaug.retrieval.catalogues import PREFIXES, read
from llmaug.retrieval.collection import Collection
from llmaug.retrieval.dense import Progress
from llmaug.retrieval.documents import read_corpus
from llmaug.retrieval.index import Index
from llmaug.retrieval.qrels import SPLIT
from llmaug.retrieval.settings import Settings
from llmaug.training.leakage import Leakage, answering, leaks
from llmaug.training.ledger import Ledger
from llmaug.training.ledger_files import digest_of
from llmaug.training.pairs import Pair, pairs_of
from llmaug.training.recipe_file import Recipe
from llmaug.training.screening import Screened, screened


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
        self._splits: dict[str, Collection] = {}

    def told(self, stage: str, counts: dict[str, Any], line: str) -> None:
        """Note what a stage came to, and say it."""
        self.counts[stage] = counts
        self.said(f"{stage}: {line}")

    @cached_property
    def base(self) -> SentenceEmbedder:
        """The model before training; raises `ModelError` for one that has no weights here."""
        return trainable(self.recipe.model)

    @cached_property
    def collection(self) -> Collection:
        """The corpus, with the test's queries and judgements where there is a test."""
        recipe = self.recipe
        if recipe.test is None:
            return unjudged(recipe.corpus)
        return self.split(recipe.test.split)

    def split(self, name: str) -> Collection:
        """The corpus with the judged queries of a split; raises `PlanError` where it has none."""
        if name not in self._splits:
            self._splits[name] = judged(self.recipe.corpus, split=name)
        return self._splits[name]

    @cached_property
    def human(self) -> Screened:
        """The human pairs, less those on the test's documents where the recipe leaves these out."""
        human = self.recipe.human
        if human is None:
            return Screened([], [])
        pairs, answers = pairs_of(self.split(human.split)), set[str]()
        if self.recipe.test is not None and not human.test_documents:
            answers |= {*answering(self.collection.qrels)}
        return screened(
            pairs, ("document of the test" if p.document_id in answers else "" for p in pairs)
        )

    @cached_property
    def human_leakage(self) -> Leakage | None:
        """What of the test is in the human pairs; None without a test."""
        return self.leakage(self.human.kept) if self.recipe.test else None

    def leakage(self, pairs: list[Pair]) -> Leakage:
        """What of the test is in training pairs."""
        test, section = self.collection, self.recipe.filter
        given = {"min_cosine": section.leakage_cosine, "run": section.leakage_ngram}
        options: dict[str, Any] = {k: value for k, value in given.items() if value is not None}
        return leaks(pairs, test.judged_queries, qrels=test.qrels, embedder=self.base, **options)

    def mark(self, split: str | None) -> str | None:
        """What tells the judged queries of a split from others; None for no split."""
        if split is None:
            return None
        return f"{split} {queries_mark(self.split(split))}"

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
        return corpus_mark(self.collection)


def corpus_mark(collection: Collection) -> str:
    """What tells the documents of a collection from others."""
    return str(collection.documents.fingerprint())  # type: ignore[attr-defined]


def queries_mark(collection: Collection) -> str:
    """What tells the judged queries of a collection from others."""
    return digest_of([collection.judged_queries, collection.qrels])


def mark_of(collection: Collection) -> str:
    """What tells a collection from others, wherever it lies."""
    return f"{corpus_mark(collection)} {queries_mark(collection)}"


def trainable(name: str) -> SentenceEmbedder:
    """The model of that name; raises `ModelError` for one whose weights are not on this machine."""
    found = embedder_named(name)
    if not isinstance(found, SentenceEmbedder):
        raise ModelError(f"{name} has no weights here to train; name a folder, or minilm")
    return found


def unjudged(corpus: str) -> Collection:
    """The documents of a collection, whatever splits it has."""
    if not corpus.startswith(PREFIXES):
        return Collection(corpus, read_corpus(corpus))
    return Collection(corpus, read(corpus, split=SPLIT, text=None, id=None, limit=None).documents())


def judged(corpus: str, *, split: str) -> Collection:
    """A collection with a split's queries; raises `PlanError` where none of them is judged."""
    found = Collection.read(corpus, split=split)
    if not found.judged_queries:
        raise PlanError(f"{found.name} has no judged queries in the split {split!r}")
    return found
