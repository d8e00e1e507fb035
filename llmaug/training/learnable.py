"""What of mined pairs decides a training: whether they can be learned from, and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence

import orjson

from llmaug.errors import RetrievalError
from llmaug.training.batches import Row
from llmaug.training.mined import MinedPair
from llmaug.training.settings import TrainingSettings


def check_pairs(mined: Sequence[MinedPair], settings: TrainingSettings) -> None:
    """Raise `RetrievalError` for pairs from which nothing can be learned with these settings."""
    if len(mined) < 2:
        raise RetrievalError(f"training needs 2 pairs at least, and there are {len(mined)}")
    negatives = len(mined[0].negatives)
    for one in mined:
        if len(one.negatives) != negatives:
            raise RetrievalError(
                f"the pair of query {one.pair.query_id!r} and document {one.pair.document_id!r} "
                f"has {len(one.negatives)} negatives, others have {negatives}: mine them anew, "
                "all with the same settings"
            )
    if not negatives and (settings.batch == 1 or not settings.loss.in_batch):
        raise RetrievalError(
            "there are no negatives to learn from: mine some, or let the loss use those of the "
            "batch (in_batch) with a batch of 2 or more"
        )
    if settings.ratio is not None and all(one.pair.origin != "human" for one in mined):
        raise RetrievalError("ratio is of synthetic to human pairs, and no pair is human: unset it")
    if settings.curriculum != "shuffled" and any(_difficulty(one) is None for one in mined):
        raise RetrievalError(
            f"curriculum {settings.curriculum!r} needs the dense score of every pair and of one "
            "of its negatives at least: mine with the source 'dense'"
        )
    _check_taught(mined, settings)


def _check_taught(mined: Sequence[MinedPair], settings: TrainingSettings) -> None:
    """Raise `RetrievalError` where a pair lacks the teacher's scores that the loss compares."""
    loss = settings.loss
    asked = {
        "distil": loss.distil > 0,
        "margin_mse": loss.margin_mse > 0,
        "mask_ratio": loss.mask_ratio is not None,
    }
    names = " and ".join(name for name, used in asked.items() if used)
    lacking = [one for one in mined if not _taught(one)] if names else []
    if lacking:
        raise RetrievalError(
            f"{names} need teacher scores of a pair's document and of one of its negatives, and "
            f"{len(lacking):,} of {len(mined):,} pairs lack them, the first that of query "
            f"{lacking[0].pair.query_id!r}: mine with a teacher"
        )


def _taught(one: MinedPair) -> bool:
    scored = any(negative.scores.teacher is not None for negative in one.negatives)
    return scored and one.scores.teacher is not None


def rows_of(mined: Sequence[MinedPair]) -> list[Row]:
    """What of the pairs decides their batches; an unknown difficulty is 0."""
    return [
        Row(one.pair.origin, _difficulty(one) or 0.0, one.pair.document_id, one.pair.query)
        for one in mined
    ]


def _difficulty(one: MinedPair) -> float | None:
    cosines = [n.scores.dense for n in one.negatives if n.scores.dense is not None]
    if not cosines or one.scores.dense is None:
        return None
    return max(cosines) - one.scores.dense


def digest(
    mined: Sequence[MinedPair],
    documents: Callable[[str], str],
    *,
    known: Mapping[str, Collection[str]],
) -> str:
    """12 hex digits of all that the pairs say and of their documents' contents."""
    found = hashlib.sha256()
    ids: set[str] = set()
    for one in mined:
        found.update(orjson.dumps([one, sorted(known.get(one.pair.query_id, ()))]))
        ids.update((one.pair.document_id, *(n.document_id for n in one.negatives)))
    for id in sorted(ids):
        found.update(json.dumps([id, documents(id)]).encode())
    return found.hexdigest()[:12]
