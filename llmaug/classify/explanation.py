"""How a decision came about, for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmaug.classify.deciding import Decision
from llmaug.classify.labels import Class
from llmaug.classify.policy import Policy

if TYPE_CHECKING:
    import numpy as np

SHOWN = 160  # characters of a text


@dataclass(frozen=True)
class Explanation:
    """A decision, the classes, the policy that made it, and the calls that were sent for it."""

    decision: Decision
    classes: Sequence[Class]
    policy: Policy
    calls: int

    def __str__(self) -> str:
        one = self.decision
        lines = [f"{self._said(one.plain)}  the text: {_short(one.text.text)}"]
        if one.normalised:
            lines.append(f"read without its noise: {_short(one.normalised)}")
        if not one.opened:
            why = ", normalised," if one.normalised else ""
            lines.append(f"not rewritten: the gate {self.policy.gate}{why} is not open for it")
        lines += [
            f"{self._said(seen.probabilities)}  {seen.text.made_by}: {_short(seen.text.text)}"
            for seen in one.variants
        ]
        lines += [f"dropped, {drop.reason}: {_short(drop.text.text)}" for drop in one.drops]
        if one.failure:
            lines.append(f"rewriting failed: {_short(one.failure)}")
        if one.fell_back:
            lines.append("no rewrite is left, so the text is decided as it is")
        lines.append(
            f"{self._said(one.probabilities)}  the answer, by {self.policy.aggregation}; "
            f"{one.asked} of {self.policy.size} rewrites asked for, {self.calls} calls sent"
        )
        return "\n".join(lines)

    def _said(self, chances: np.ndarray) -> str:
        best = int(chances.argmax())
        return f"{_short(str(self.classes[best]))} {chances[best]:.3f}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    # A text of strangers must not steer the terminal.
    flat = "".join(one if one.isprintable() else "\ufffd" for one in flat)
    return flat if len(flat) <= SHOWN else flat[:SHOWN] + "…"
