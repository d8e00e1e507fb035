"""What deciding on many texts came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmaug.classify.deciding import Decision


@dataclass
class Account:
    """What deciding on texts came to; `asked` rewrites in `calls` requests that were sent."""

    texts: int = 0
    opened: int = 0
    normalised: int = 0
    asked: int = 0
    possible: int = 0
    calls: int = 0
    fell_back: int = 0
    failed: int = 0
    changed: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)

    def add(self, decision: Decision, size: int) -> None:
        self.texts += 1
        self.opened += decision.opened
        self.normalised += bool(decision.normalised)
        self.asked += decision.asked
        self.possible += size
        self.fell_back += decision.fell_back
        self.failed += bool(decision.failure)
        self.changed += int(decision.plain.argmax() != decision.probabilities.argmax())
        self.drops.update(drop.reason for drop in decision.drops)

    def __str__(self) -> str:
        share = self.asked / self.possible if self.possible else 0.0
        said = (
            f"{self.texts:,} texts: {self.opened:,} rewritten, {self.asked:,} rewrites asked for "
            f"({share:.0%} of {self.possible:,}), {self.calls:,} calls of the language model, "
            f"{self.changed:,} decisions changed"
        )
        for count, what in (
            (self.normalised, "normalised"),
            (self.fell_back, "without a usable rewrite, decided as they are"),
            (self.failed, "whose rewriting failed"),
        ):
            said += f", {count:,} {what}" if count else ""
        if self.drops:
            reasons = ", ".join(f"{reason} {n:,}" for reason, n in self.drops.most_common(5))
            said += f"; dropped: {reasons}"
        for what, count in self.noticed.items():
            said += f"; note: {count:,} {what}"
        return said
