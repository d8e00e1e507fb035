"""Claims with paired intervals, Holm over all of them however many baselines they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.expansion_searches import MEASURE
from llmaug.retrieval.compare import compare_evaluations
from llmaug.retrieval.measure import Evaluation
from llmaug.significance import holm


class Claim(NamedTuple):
    """That rankings are better than a baseline."""

    name: str
    evaluation: Evaluation
    against: str
    baseline: Evaluation


def report(title: str, claims: Sequence[Claim]) -> None:
    """Print a table for each baseline; Holm p is corrected for the claims of all tables."""
    families = []
    for against in dict.fromkeys(claim.against for claim in claims):
        ours = [claim for claim in claims if claim.against == against]
        evaluations = {against: ours[0].baseline, **{of.name: of.evaluation for of in ours}}
        families.append(compare_evaluations(evaluations, baseline=against))
    corrected = iter(holm([row.p for family in families for row in family.rows]))
    print(f"\n## {title}: {len(claims)} claims, Holm over all of them")
    for family in families:
        rows = tuple(replace(row, p_holm=next(corrected)) for row in family.rows)
        table = str(replace(family, rows=rows)).splitlines()
        print("\n".join(table[: len(rows) + 2]), flush=True)


def evaluation_of(ids: Sequence[str], values: np.ndarray) -> Evaluation:
    """Measured values of queries, such as means over files, as an evaluation to compare."""
    per_query: Mapping[str, float] = dict(zip(ids, values.tolist(), strict=True))
    return Evaluation(
        {MEASURE: dict(per_query)},
        {MEASURE: float(values.mean())},
        judged=len(ids),
        missing=0,
        unjudged=0,
        averaging="judged",
    )
