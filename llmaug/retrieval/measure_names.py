"""Measures by the names that papers and ir_measures give them, as values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmaug.errors import MissingExtra, PlanError, did_you_mean
from llmaug.formats.fields import short

NOTATION = re.compile(r"([A-Za-z]+)(?:\(([^()]*)\))?(?:@([^@]+))?")
DEEPEST = 10**9  # a larger cutoff would not fit every number that trec_eval counts with


class Offered(NamedTuple):
    """A measure that pytrec_eval gives: its name in ir_measures and what its notation may hold."""

    name: str
    cutoff: str = "never"  # "never", "maybe" or "always"
    options: tuple[str, ...] = ("rel", "judged_only")


MEASURES = {
    "nDCG": Offered("nDCG", "maybe", ("judged_only",)),
    "R": Offered("R", "always"),
    "Recall": Offered("R", "always"),
    "P": Offered("P", "always"),
    "Precision": Offered("P", "always"),
    "RR": Offered("RR", "maybe"),
    "MRR": Offered("RR", "maybe"),
    "AP": Offered("AP", "maybe"),
    "MAP": Offered("AP", "maybe"),
    "Success": Offered("Success", "always"),
    "IPrec": Offered("IPrec", "always"),
    "Rprec": Offered("Rprec"),
    "Bpref": Offered("Bpref", options=("rel",)),
    "infAP": Offered("infAP", options=("rel",)),
    "SetP": Offered("SetP"),
    "SetR": Offered("SetR", options=("rel",)),
    "SetF": Offered("SetF"),
    "SetAP": Offered("SetAP"),
    "Judged": Offered("Judged", "maybe", ()),
}
SPELLED = {name.lower(): name for name in MEASURES}


@dataclass(frozen=True)
class Measure:
    """One measure as it was asked for.

    `name` is its notation with the spelling put right; `kind` its name in ir_measures; `cutoff`
    the depth (None: the whole ranking), for IPrec the recall; a document is relevant from grade
    `rel` on; with `judged_only` those without a judgement are taken out first.
    """

    name: str
    kind: str
    cutoff: float | None = None
    rel: int = 1
    judged_only: bool = False

    @property
    def depth(self) -> int | None:
        """How many documents of a ranking are looked at; None for all."""
        return None if self.cutoff is None or self.kind == "IPrec" else int(self.cutoff)

    def in_ir_measures(self) -> Any:
        """The measure as ir_measures' value; for RR that of the whole ranking."""
        measure = ir_measures().measures.registry[self.kind]
        options: dict[str, Any] = {}
        if self.rel != 1:
            options["rel"] = self.rel
        if self.judged_only:
            options["judged_only"] = True
        if self.cutoff is not None and self.kind != "RR":
            options[measure.AT_PARAM] = self.cutoff
        return measure(**options)


def measures(names: Sequence[str] | str) -> list[Measure]:
    """The measures of these names, each once; a single string may hold several between spaces."""
    if isinstance(names, str):
        names = re.split(r"\s+(?![^(]*\))", names.strip())
    found = {measure.name: measure for measure in map(parse_measure, names)}
    if not found:
        raise PlanError("no measure is named; name some, such as nDCG@10 R@100")
    return list(found.values())


def parse_measure(name: str) -> Measure:
    """The measure of a notation such as `nDCG@10`, `MAP`, `P(rel=2)@5` or `RR(judged_only=True)`.

    Small and capital letters are the same. Raises `PlanError` for a measure that pytrec_eval does
    not give, and for a cutoff or option that the measure does not take.
    """
    text = "".join(str(name).split())
    parts = NOTATION.fullmatch(text)
    word = parts[1] if parts else re.split(r"[^A-Za-z]", text)[0]
    spelling = SPELLED.get(word.lower())
    if spelling is None:
        close = [SPELLED[key] for key in SPELLED if did_you_mean(word.lower(), [key])[:3] == "did"]
        raise PlanError(
            f"no measure is called {short(word or text)!r}; "
            f"{did_you_mean(close[0] if close else word, close or MEASURES)}"
        )
    if parts is None:
        raise PlanError(f"{short(text)!r} is no measure; write it like P(rel=2)@5")
    offered = MEASURES[spelling]
    cutoff = _cutoff(parts[3], offered, text=text)
    options = _options(parts[2] or "", offered, text=text)
    shown = ",".join(f"{option}={value}" for option, value in options.items())
    name = f"{spelling}({shown})" if shown else spelling
    if cutoff is not None:
        name += f"@{cutoff:g}" if isinstance(cutoff, float) else f"@{cutoff}"
    return Measure(name, offered.name, cutoff, **options)


def _cutoff(given: str | None, offered: Offered, *, text: str) -> float | None:
    if given is None:
        if offered.cutoff == "always":
            raise PlanError(f"{short(text)} needs a cutoff, such as {text}@10")
        return None
    if offered.cutoff == "never":
        raise PlanError(f"{short(text)}: {offered.name} takes no cutoff; leave @{short(given)} out")
    if offered.name == "IPrec":
        if not re.fullmatch(r"0(\.[0-9]{1,2})?|1(\.0{1,2})?", given):
            raise PlanError(f"{short(text)}: the recall is from 0 to 1 in steps of 0.01")
        return float(given)
    if not re.fullmatch(r"[0-9]{1,10}", given) or not 1 <= int(given) <= DEEPEST:
        raise PlanError(f"{short(text)}: a cutoff is a whole number from 1 to {DEEPEST:,}")
    return int(given)


def _options(given: str, offered: Offered, *, text: str) -> dict[str, Any]:
    """The options between the brackets, without those that change nothing."""
    options: dict[str, Any] = {}
    for part in filter(None, given.split(",")):
        option, _, value = part.partition("=")
        if option not in offered.options:
            raise PlanError(
                f"{short(text)}: {offered.name} has no option {short(option)!r}; "
                f"{did_you_mean(option, offered.options)}"
            )
        if option == "judged_only" and value in ("True", "False"):
            if value == "True":
                options[option] = True
        elif option == "rel" and re.fullmatch(r"[1-9][0-9]{0,6}", value):
            if value != "1":
                options[option] = int(value)
        else:
            wanted = "True or False" if option == "judged_only" else "a whole number from 1"
            raise PlanError(f"{short(text)}: {option} is {wanted}, not {short(value)!r}")
    return options


def ir_measures() -> Any:
    """The library that knows the measures."""
    try:
        import ir_measures as library
    except ImportError:
        raise MissingExtra("ir-measures", "retrieval") from None
    return library
