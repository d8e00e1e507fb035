"""The order in which trec_eval sees the documents of a ranking."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmaug.errors import RetrievalError
from llmaug.formats.fields import short

if TYPE_CHECKING:
    import numpy as np


def ranked(scores: Mapping[str, float]) -> list[str]:
    """The document ids in trec_eval's order: best score first, then the larger id first.

    trec_eval keeps scores as 32-bit floats, so scores that differ only beyond those are ties; it
    compares ids by their UTF-8 bytes, which is how Python compares strings. Raises
    `RetrievalError` for a score that is not a number.
    """
    import numpy as np

    if in_order(scores):
        return list(scores)
    ids, kept = list(scores), _kept(scores)
    for place in np.flatnonzero(np.isnan(kept)).tolist():
        raise RetrievalError(f"the score of document {short(ids[place])!r} is not a number (NaN)")
    order = np.argsort(-kept, kind="stable")
    ids, kept = [ids[place] for place in order.tolist()], kept[order]
    edges = np.flatnonzero(kept[1:] != kept[:-1]) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(ids))
    tied = ends - starts > 1
    for start, end in zip(starts[tied].tolist(), ends[tied].tolist(), strict=True):
        ids[start:end] = sorted(ids[start:end], reverse=True)
    return ids


def in_order(scores: Mapping[str, float]) -> bool:
    """Whether `ranked` would give the ids as they come; false where a score is NaN."""
    import numpy as np

    kept = _kept(scores)
    if len(kept) < 2:
        return not np.isnan(kept).any()
    if not (kept[1:] <= kept[:-1]).all():
        return False
    ties = np.flatnonzero(kept[1:] == kept[:-1]).tolist()
    if not ties:
        return True
    ids = list(scores)
    return all(ids[place] > ids[place + 1] for place in ties)


def numbers_in(scores: Mapping[str, float], *, query: str) -> dict[str, float]:
    """The scores as Python's own floats, whatever kind of number they were (NumPy's, say).

    Raises `RetrievalError` for what is no number.
    """
    if type(scores) is dict and set(map(type, scores.values())) <= {float}:
        return scores
    found = {}
    for id, score in scores.items():
        try:
            found[id] = float(score) if isinstance(score, numbers.Real) else math.nan
        except OverflowError:
            found[id] = math.nan
        if math.isnan(found[id]):
            raise RetrievalError(
                f"the score of document {short(str(id))!r} for query {short(query)!r} is "
                f"{short(repr(score))}, not a number that fits (NaN); make it one"
            )
    return found


def _kept(scores: Mapping[str, float]) -> np.ndarray:
    """The scores as trec_eval keeps them, (n,) float32; too large a score is infinite there too."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.fromiter(scores.values(), np.float64, len(scores)).astype(np.float32)
