"""What a small model writes for queries, honestly: SmolLM2-135M on Cranfield."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import llmaug as la
from benchmarks.expansion_searches import MEASURE, MODES
from benchmarks.expansion_tests import Claim, evaluation_of, report
from llmaug.methods.queries import keywords, written
from llmaug.outcome import Failure
from llmaug.plan import Step
from llmaug.retrieval.combine import default_combination
from llmaug.retrieval.expand import search_expanded
from llmaug.retrieval.expansions import Expansions, expand, read_expansions, write_expansions
from llmaug.retrieval.gate_fit import fit
from llmaug.retrieval.gate_labelled import FEWEST
from llmaug.retrieval.measure import Evaluation, evaluate
from llmaug.retrieval.predictors import Features, predictors
from llmaug.retrieval.rankings import Rankings

LM = "transformers:smollm2-135m"
TOKENS = 128  # of a passage: what Query2doc's paper allows; what is cut off there is dropped


def plans() -> dict[str, Step]:
    """The methods with shorter passages than as shipped (256 tokens), for two cores."""
    return {
        "query2doc": written("query2doc", asked="prose", max_tokens=TOKENS),
        "hyde": written("hyde", asked="prose", n=2, max_tokens=TOKENS, inputs={"task": "web"}),
        "keywords": keywords(),
    }


def run(data: Path, index: Path, *, folder: Path, queries: int | None) -> None:
    """Expand the queries, search with the default combinations, and test against no expansion."""
    collection, opened = la.Collection.read(data), la.Index.open(index)
    judged = [id for id in collection.queries if id in collection.qrels]
    if queries is not None and queries < len(judged):
        drawn = set(random.Random(0).sample(judged, queries))
        judged = [id for id in judged if id in drawn]
    asked = {id: collection.queries[id] for id in judged}
    qrels = {id: collection.qrels[id] for id in judged}

    def measured(rankings: Rankings) -> Evaluation:
        return evaluate(rankings, qrels, [MEASURE])

    plain = {mode: measured(la.search(opened, asked, k=100, mode=mode)) for mode in MODES}
    means = ", ".join(f"{mode} {of.mean[MEASURE]:.4f}" for mode, of in plain.items())
    print(f"{len(asked)} queries, {LM}, seed 0; plain: {means}", flush=True)
    features = predictors(opened, asked)
    claims = []
    for name, plan in plans().items():
        expansions = kept(folder / f"{name}.jsonl", asked, plan)
        some = [texts for texts in expansions.values() if texts]
        words = sum(len(text.split()) for texts in some for text in texts) / max(1, len(some))
        print(f"{name}: {len(some)} queries with an expansion, of {words:.0f} words on average")
        for mode in MODES:
            how = default_combination(mode)
            found = search_expanded(opened, asked, expansions, mode=mode, combine=how)
            evaluation = measured(found.rankings)
            claims.append(Claim(f"{name} {mode}", evaluation, f"plain {mode}", plain[mode]))
            if mode == "dense" and len(asked) >= FEWEST:
                claims.append(gated(features, plain[mode], evaluation, name=name))
    report("SmolLM2-135M on Cranfield", claims)


def gated(features: Features, plain: Evaluation, expanded: Evaluation, *, name: str) -> Claim:
    """The same where a cross-fitted gate chooses at most half of the queries."""
    sides = plain.per_query[MEASURE], expanded.per_query[MEASURE]
    gate = fit(features, *sides, budget=0.5)
    chosen = [sides[expand][id] for id, expand in gate.decisions.items()]
    evaluation = evaluation_of(list(gate.decisions), np.array(chosen))
    return Claim(f"{name} dense, gate: {gate.gate.share:.0%}", evaluation, "plain dense", plain)


def kept(path: Path, queries: Mapping[str, str], plan: Step) -> Expansions:
    """What a plan wrote, from the file where it is there, else by the model and into the file.

    The cache of replies would not do: a reply that was cut off is not in it and is drawn again,
    and then may end in time, because rounding depends on what else is in the batch.
    """
    if path.exists():
        expansions = read_expansions(path, queries=queries)
        if not queries.keys() <= expansions.keys():
            raise SystemExit(f"{path} was written for other queries; name another folder")
        return expansions
    path.parent.mkdir(parents=True, exist_ok=True)
    failed: list[Failure] = []
    began = time.perf_counter()
    cache = path.parent / "replies.sqlite"
    expansions = expand(queries, plan, lm=LM, cache=cache, failed=failed)
    taken = time.perf_counter() - began
    print(f"{path.stem}: {taken:.0f} s, {len(failed)} rows failed", flush=True)
    write_expansions(path, expansions, queries=queries)
    return expansions
