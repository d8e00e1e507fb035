"""The model card: what a retriever was trained on, how, and whether it became better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from llmaug.training.card_facts import CardFacts, OnCollection
from llmaug.training.card_pairs import counted, saturation, trained_on, training
from llmaug.training.card_text import (
    escaped,
    estimate,
    fenced,
    harmless,
    model_name,
    number,
    placeless,
    table,
    titled,
)

TAGS = ["sentence-transformers", "sentence-similarity", "feature-extraction", "retrieval", "llmaug"]
USE = """\
import llmaug as la
embedder = la.embedder("PATH/TO/THIS/FOLDER")
scores = embedder.encode(queries, side="query") @ embedder.encode(texts, side="document").T
"""


def model_card(about: CardFacts) -> str:
    """The README.md of a model's folder, in Markdown with YAML in front.

    Every number has four digits and, where there is one, its interval as [low, high]. Absolute
    paths, and settings named like secrets, are left out; texts of the corpus are escaped.
    """
    sections = {
        "How to load it": "It is a folder of sentence-transformers too.\n\n"
        + fenced(USE, language="python"),
        "Test": "\n\n".join(map(_test, about.tests)),
        "Gate": "\n\n".join(_gate(about)),
        "Trained on": "\n\n".join(trained_on(about)),
        "Training": "\n\n".join(training(about)),
        "Hard negatives": counted("", about.negatives),
        "Saturation": "\n\n".join(saturation(about)),
        "Caveats": "\n".join(f"- {caveat}" for caveat in _caveats(about)),
        "Settings": fenced(_yaml(harmless(about.settings)), language="yaml"),
        "Versions": ", ".join(f"{escaped(k)} {escaped(v)}" for k, v in about.versions.items()),
    }
    base = titled(about.base)
    head = [
        f"---\n{_yaml(_front_matter(about))}---",
        f"# {titled(about.name)}",
        f"A retriever: {base}, trained with llmaug for {_place(about.corpus)} "
        f"({about.documents:,} documents). In brackets are 95 % intervals.",
    ]
    parts = [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join([*head, *parts]) + "\n"


def _yaml(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=math.inf)
    return text


def _front_matter(about: CardFacts) -> Mapping[str, Any]:
    return {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "base_model": model_name(about.base),
        "tags": TAGS,
    }


def _place(name: str) -> str:
    """The name of a collection without the folders above it."""
    return escaped(placeless(name).rsplit("/", 1)[-1] if ":" not in name else name)


def _test(tested: OnCollection) -> str:
    measures = list(dict.fromkeys(name for row in tested.rows for name in row.values))
    rows = [
        [
            escaped(row.system),
            *(estimate(*row.values[name]) if name in row.values else "–" for name in measures),
        ]
        for row in tested.rows
    ]
    parts = [
        f"{_place(tested.collection)}, {tested.queries:,} queries:",
        table(["", *map(escaped, measures)], rows),
    ]
    for name, gain in tested.gains.items():
        p = f", p = {number(tested.p[name])}" if name in tested.p else ""
        parts.append(
            f"Over the base, {escaped(name)} changes by {estimate(*gain, signed=True)}{p}."
        )
    return "\n\n".join(parts)


def _gate(about: CardFacts) -> Iterator[str]:
    decision = about.decision
    if decision is None:
        return
    weight = f"**{decision.weight:g}**"
    shown = {0.0: "the base as it was", 1.0: "the tuned model"}.get(
        decision.weight, "an interpolation of the base and the tuned model"
    )
    reason = escaped(placeless(decision.reason)).removesuffix(".")
    yield f"Returned is {shown} (weight {weight} of the tuned model): {reason}."
    settings = decision.settings
    if settings is not None and decision.base is not None:
        yield (
            f"Of {decision.queries:,} dev queries ({about.dev or 'of unknown origin'}), "
            f"{escaped(settings.measure)} of the base is {number(decision.base)}. A candidate must "
            f"be better with a corrected p of at most {decision.level:.3g}, one-sided"
            + (
                f" ({settings.alpha:g} for {decision.trainings} trainings that the same queries "
                "chose among)"
                if decision.trainings > 1
                else ""
            )
            + f"; of fewer than {settings.fewest:,} queries nothing is decided."
        )
    if decision.candidates:
        names = ["weight", "mean", "difference", "p", "corrected", "better", "worse", "equal"]
        rows = [
            [
                f"{one.weight:g}",
                number(one.mean),
                estimate(one.difference, one.low, one.high, signed=True),
                number(one.p),
                number(one.corrected),
                *map(number, (one.better, one.worse, one.equal)),
                number(one.detectable),
            ]
            for one in decision.candidates
        ]
        yield table([*names, "detectable"], rows)


def _caveats(about: CardFacts) -> Iterator[str]:
    if "smollm2" in (about.generator or "").lower():
        yield (
            "The queries were written by a demonstration model: they show that the machine runs, "
            "not what a capable model would write."
        )
    decision = about.decision
    if decision is None or decision.settings is None:
        yield "No gate decided: the model may be worse than its base."
    elif decision.queries < decision.settings.fewest:
        yield "The gate had too few dev queries to decide, so the base is returned."
    elif decision.weight > 0 and len(decision.candidates) > 1:
        yield "The returned weight is the best of several on the dev queries, which flatters it."
    if about.dev == "synthetic":
        yield "The dev queries are synthetic: what is better on them need not be on real ones."
    if not about.tests:
        yield "It was not tested on queries that took no part in training or choosing."
    for where, count in about.leakage.items():
        yield f"Queries near those of the test, {escaped(where)}: {count:,}."
