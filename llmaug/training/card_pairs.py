"""The part of a model card about training: on which pairs, how long, and what more would bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llmaug.training.card_facts import CardFacts
from llmaug.training.card_text import escaped, estimate, model_name, number, placeless, table


def trained_on(about: CardFacts) -> Iterator[str]:
    """The pairs by origin and kind, what was dropped, and some of them."""
    without = about.ratio == 0
    yield table(
        ["origin", "kind", "queries", "pairs"],
        [
            [
                escaped(one.origin),
                escaped(placeless(one.kind)),
                number(one.queries),
                number(one.pairs),
            ]
            for one in about.trained_on
            if not (without and one.origin == "synthetic")
        ],
        words=2,
    )
    if without:
        left = sum(one.pairs for one in about.trained_on if one.origin == "synthetic")
        yield f"None of the {left:,} synthetic pairs was trained on: the ratio is 0."
    elif about.ratio is not None and about.ratio_asked is not None:
        capped = round(about.ratio, 2) < round(about.ratio_asked, 2)
        yield f"In an epoch {about.ratio:.3g} synthetic pairs go with one human pair" + (
            f", all that there are; asked for were {about.ratio_asked:g}." if capped else "."
        )
    if about.written:
        dropped = sum(about.dropped.values())
        yield (
            f"{about.written:,} synthetic queries were written"
            + (f" by {escaped(placeless(about.generator))}" if about.generator else "")
            + f"; filters dropped {dropped:,}{':' if dropped else '.'}"
        )
        if dropped:
            yield counted("reason", about.dropped)
    if about.cut:
        yield f"{about.cut}: queries were written for their beginnings."
    if about.human_dropped:
        yield f"Of the human pairs {sum(about.human_dropped.values()):,} were left out:"
        yield counted("reason", about.human_dropped)
    if about.divergence is not None:
        yield (
            "A classifier tells synthetic from human queries with an AUC of "
            f"{estimate(*about.divergence)}; 0.5 is chance."
        )
    if about.examples:
        rows = [[escaped(query), escaped(text)] for query, text in about.examples]
        yield "Some of the pairs:"
        yield table(["query", "document"], rows, words=2)


def training(about: CardFacts) -> Iterator[str]:
    """How long it was trained, and what each ratio of synthetic to human pairs came to."""
    if about.training:
        yield counted("", about.training)
    if about.sweep:
        yield "Ratios of synthetic to human pairs, each trained and measured on dev:"
        rows = [
            [
                f"{one.ratio:g}" + (" (chosen)" if one.ratio == about.ratio_asked else ""),
                f"{one.effective:.3g}",
                number(one.mean),
                f"{number(one.difference, signed=True)} ± {number(one.error)}",
            ]
            for one in about.sweep
        ]
        names = ["ratio", "of what there is", escaped(about.measure), "difference to the best"]
        yield table(names, rows)
        yield "After ± is one standard error of the difference, query by query."


def counted(title: str, counts: Mapping[str, float]) -> str:
    """A table of numbers by name; nothing for none."""
    if not counts:
        return ""
    return table([title, "number"], [[escaped(k), number(v)] for k, v in counts.items()])


def saturation(about: CardFacts) -> Iterator[str]:
    """What growing numbers of synthetic queries bring on dev."""
    if not about.saturation:
        return
    rows = [
        [number(one.queries), estimate(one.mean, one.low, one.high)]
        for one in sorted(about.saturation)
    ]
    if about.saturation_human is not None:
        rows.insert(0, ["none (human ones alone)", estimate(*about.saturation_human)])
    if about.saturation_base is not None:
        rows.insert(0, ["none (base)", estimate(*about.saturation_base)])
    yield table(["synthetic queries", f"{escaped(about.measure)} on dev"], rows)
    if about.plot:
        name = "".join(c if c.isalnum() or c in "._-" else "%20" for c in model_name(about.plot))
        yield f"![dev quality against the number of synthetic queries]({name})"
