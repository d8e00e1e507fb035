"""What a small model writes for queries, honestly: SmolLM2-135M on Cranfield."""

from __future__ import annotations

import random
import time
from pathlib import Path

import llmaug as la
from benchmarks.expansion_tests import Claim, report
from llmaug.methods.queries import keywords, written
from llmaug.outcome import Failure
from llmaug.plan import Step
from llmaug.retrieval.combine import default_combination
from llmaug.retrieval.expand import search_expanded
from llmaug.retrieval.expansions import expand
from llmaug.retrieval.measure import Evaluation, evaluate
from llmaug.retrieval.rankings import Rankings

LM = "transformers:smollm2-135m"
MODES = ("dense", "bm25", "hybrid")
MEASURE = "nDCG@10"
TOKENS = 128  # of a passage: what Query2doc's paper allows; replies cut off there are dropped


def plans() -> dict[str, Step]:
    """The methods with shorter replies than as shipped (256 tokens), for two cores."""
    return {
        "query2doc()": written("query2doc", asked="prose", max_tokens=TOKENS),
        "hyde(n=2)": written("hyde", asked="prose", n=2, max_tokens=TOKENS, inputs={"task": "web"}),
        "keywords()": keywords(),
    }


def run(data: Path, index: Path, *, replies: Path, queries: int | None) -> None:
    """Expand the queries, search with the default combinations, and test against no expansion."""
    collection, opened = la.Collection.read(data), la.Index.open(index)
    judged = [id for id in collection.queries if id in collection.qrels]
    if queries is not None and queries < len(judged):
        drawn = set(random.Random(0).sample(judged, queries))
        judged = [id for id in judged if id in drawn]
    asked = {id: collection.queries[id] for id in judged}
    qrels = {id: collection.qrels[id] for id in judged}
    print(f"{len(asked)} queries, {LM}, seed 0", flush=True)

    def measured(rankings: Rankings) -> Evaluation:
        return evaluate(rankings, qrels, [MEASURE])

    plain = {mode: measured(la.search(opened, asked, k=100, mode=mode)) for mode in MODES}
    claims = []
    for name, plan in plans().items():
        failed: list[Failure] = []
        began = time.perf_counter()
        expansions = expand(asked, plan, lm=LM, cache=replies, failed=failed)
        taken = time.perf_counter() - began
        some = [texts for texts in expansions.values() if texts]
        words = sum(len(text.split()) for texts in some for text in texts) / max(1, len(some))
        print(
            f"{name}: {taken:.0f} s, {len(failed)} rows failed, {len(some)} queries with an "
            f"expansion, of {words:.0f} words on average",
            flush=True,
        )
        for mode in MODES:
            how = default_combination(mode)
            found = search_expanded(opened, asked, expansions, mode=mode, combine=how)
            evaluation = measured(found.rankings)
            claims.append(Claim(f"{name} {mode} {how}", evaluation, f"plain {mode}", plain[mode]))
    report("SmolLM2-135M on Cranfield", claims)
