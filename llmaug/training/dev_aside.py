"""Dev queries, and what may be trained on beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from llmaug.errors import RetrievalError
from llmaug.retrieval.qrels import Qrels
from llmaug.training.dev_pool import require_room
from llmaug.training.leakage import answering, leaks
from llmaug.training.pairs import Pair
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.screening import Screened, screened
from llmaug.training.splits import qrels_of, queries_of, split_dev

ON_DOCUMENT, ALIKE = "document of a dev query", "like a dev query"
IN_PYTHON = "or split with by_document=False"


@dataclass(frozen=True)
class Deciding:
    """The dev queries and their judgements."""

    queries: dict[str, str]
    qrels: Qrels


class Aside(NamedTuple):
    """The dev queries, and what of the human and the synthetic pairs may be trained on.

    `leaking` counts queries of the dev split that are left out, as the test has the same.
    """

    deciding: Deciding | None
    human: Screened
    synthetic: Screened
    leaking: int = 0


def set_aside(run: RecipeRun, human: list[Pair], synthetic: list[Pair]) -> Aside:
    """Choose the dev queries; no document of theirs and none of their words is trained on.

    Raises `RetrievalError` where no dev query or nothing to train on is left, and where the
    judged documents do not fit into the pool.
    """
    dev = run.recipe.dev
    if dev is None:
        return Aside(None, Screened(human, []), Screened(synthetic, []))
    leaking = 0
    if dev.split is not None:
        deciding, leaking = _of_split(run, dev.split)
    else:
        of = human if dev.of == "human" else synthetic
        try:
            parted = split_dev(of, share=dev.share, count=dev.count, seed=run.recipe.seed)
        except RetrievalError as error:  # says what to do in Python, and this is a recipe
            raise RetrievalError(str(error).replace(IN_PYTHON, "or name a split")) from error
        deciding = Deciding(queries_of(parted.dev), qrels_of(parted.dev))
        if dev.of == "human":
            human = parted.train
        else:
            synthetic = parted.train
    if dev.pool is not None and dev.pool < len(run.base_index):
        known = set(run.base_index.ids.tolist())
        judged = {id for of in deciding.qrels.values() for id in of}
        require_room(len(judged & known), dev.pool)
    humans, written = _without_dev(human, deciding), _without_dev(synthetic, deciding)
    if not humans.kept and not written.kept:
        raise RetrievalError(
            "no training pair is left beside the dev queries, which have the same words or "
            "documents; take fewer of them, or dev: {share: 0.2} in place of a split"
        )
    return Aside(deciding, humans, written, leaking)


def _of_split(run: RecipeRun, split: str) -> tuple[Deciding, int]:
    """The judged queries of a split less those that are queries of the test, and how many went."""
    found = run.split(split)
    queries = dict(found.judged_queries)
    if run.recipe.test is not None:
        pairs = [Pair(id, text, "") for id, text in queries.items()]
        same = leaks(pairs, run.collection.judged_queries).leaks
        for leak in same:
            del queries[leak.query_id]
        if not queries:
            raise RetrievalError(f"all queries of the dev split {split!r} are queries of the test")
    qrels = {id: judged for id, judged in found.qrels.items() if id in queries}
    return Deciding(queries, qrels), len(found.judged_queries) - len(queries)


def _without_dev(pairs: list[Pair], deciding: Deciding) -> Screened:
    """The pairs without those on a document of a dev query and those with a dev query's words."""
    answers = answering(deciding.qrels)
    alike: Mapping[tuple[str, str], str] = {
        (leak.query_id, leak.query): f"{ALIKE}: {leak.way}"
        for leak in leaks(pairs, deciding.queries).leaks
    }

    def reason(pair: Pair) -> str:
        if pair.document_id in answers:
            return ON_DOCUMENT
        return alike.get((pair.query_id, pair.query), "")

    return screened(pairs, map(reason, pairs))
