"""Deciding on texts with a fitted policy: classify, normalise, rewrite where open, aggregate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify.policy import Policy, play
from llmaug.classify.rewriter import Rewriter, Rewritten
from llmaug.classify.votes import Votes
from llmaug.outcome import Drop
from llmaug.request import Classifier
from llmaug.steps.normalise import normalised
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np


class Seen(NamedTuple):
    """A variant that counted, and what the classifier says of it."""

    text: Text
    probabilities: np.ndarray


@dataclass
class Decision:
    """The answer to one text, and how it came about.

    `plain` is what the classifier says of the text as it is, `probabilities` the answer. `asked`
    counts the rewrites asked for; `normalised` is the text without its noise where that was read
    instead; `failure` says why the language model gave none.
    """

    text: Text
    plain: np.ndarray
    probabilities: np.ndarray
    opened: bool = False
    asked: int = 0
    normalised: str = ""
    variants: list[Seen] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    failure: str = ""

    @property
    def fell_back(self) -> bool:
        """Whether rewrites were asked for and none was left to count."""
        return self.asked > 0 and not self.variants


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
        return said


class Deciding:
    """A classifier, a rewriter and a policy at work on batches of texts."""

    def __init__(
        self, classifier: Classifier, rewriter: Rewriter, *, policy: Policy, normalise: bool
    ) -> None:
        self.classifier, self.rewriter = classifier, rewriter
        self.policy, self.normalise = policy, normalise

    def decide(self, texts: Sequence[Text]) -> list[Decision]:
        """The decision on each text, in order; the texts have different ids."""

        plain = self.classifier.probabilities([text.text for text in texts])
        found = [Decision(text, row, row) for text, row in zip(texts, plain, strict=True)]
        opened = self.opened(plain, texts)
        read = list(texts)
        original = plain
        if self.normalise and opened.any():
            original, opened = self._normalised(found, read, plain, opened)
        votes = Votes.of(original)
        recorder = Recorder(self.classifier, self.rewriter, texts=read, votes=votes)
        played = play(self.policy, votes, opened, recorder.more)
        for row, decision in enumerate(found):
            decision.probabilities = played.answers[row]
            decision.opened, decision.asked = bool(opened[row]), int(played.asked[row])
            decision.variants = recorder.seen.get(row, [])
            decision.drops = recorder.last[row].drops if row in recorder.last else []
            decision.failure = recorder.failures.get(row, "")
        return found

    def opened(self, chances: np.ndarray, texts: Sequence[Text]) -> np.ndarray:
        """Which texts the gate lets through; a blank one has nothing to rewrite."""
        import numpy as np

        scores = self.policy.openness(chances, [text.text for text in texts])
        blank = np.array([not text.text.strip() for text in texts], dtype=bool)
        return np.asarray((scores >= self.policy.threshold) & ~blank)

    def _normalised(
        self, found: list[Decision], read: list[Text], plain: np.ndarray, opened: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the classifier says of open texts without their noise, and which stay open."""
        import numpy as np

        rows = []
        for row in np.flatnonzero(opened):
            cleaned = normalised(read[row].text)
            if cleaned.strip() and cleaned.split() != read[row].text.split():
                rows.append(row)
                found[row].normalised = cleaned
                read[row] = replace(read[row], text=cleaned)
        if not rows:
            return plain, opened
        original = plain.copy()
        original[rows] = self.classifier.probabilities([read[row].text for row in rows])
        still = opened.copy()
        still[rows] = self.opened(original[rows], [read[row] for row in rows])
        return original, still


class Recorder:
    """Gets rewrites for rows of texts, has them classified, and adds them to the votes."""

    def __init__(
        self,
        classifier: Classifier,
        rewriter: Rewriter,
        *,
        texts: Sequence[Text],
        votes: Votes,
        classify: Callable[[np.ndarray, list[str]], np.ndarray] | None = None,
    ) -> None:
        self.classifier, self.rewriter, self.texts, self.votes = classifier, rewriter, texts, votes
        self.classify = classify
        self.seen: dict[int, list[Seen]] = {}
        self.last: dict[int, Rewritten] = {}
        self.failures: dict[int, str] = {}

    def more(self, rows: np.ndarray, number: int) -> np.ndarray:
        """Add what is new among the first `number` rewrites of the texts in those rows.

        Gives the rows for which it is hopeless to ask for more.
        """
        import numpy as np

        found = self.rewriter.first([self.texts[row] for row in rows], number)
        new: list[tuple[int, Text, int]] = []
        for row in rows.tolist():
            self.last[row] = made = found[self.texts[row].id]
            self.failures.pop(row, None)
            if made.failure:
                self.failures[row] = made.failure
            known = Counter(one.text.text for one in self.seen.get(row, []))
            for text, source in made.variants:
                if known[text.text]:
                    known[text.text] -= 1
                else:
                    new.append((row, text, source))
        if new:
            self._add(new, number)
        return np.array([row for row in rows.tolist() if self.last[row].hopeless], dtype=int)

    def _add(self, new: list[tuple[int, Text, int]], number: int) -> None:
        """Have these rewrites of rows, each with its source, classified, and add them."""
        import numpy as np

        at = np.array([row for row, _, _ in new])
        written = [text.text for _, text, _ in new]
        chances = (
            self.classify(at, written) if self.classify else self.classifier.probabilities(written)
        )
        likeness = self._likeness(at.tolist(), written)
        for (row, text, source), chance, alike in zip(new, chances, likeness, strict=True):
            self.seen.setdefault(row, []).append(Seen(text, chance))
            self.votes.add(row, chance, source=source, likeness=alike, number=number)

    def _likeness(self, rows: list[int], written: list[str]) -> list[float]:
        """The cosine of each rewrite with its text; NaN without an embedder."""
        import numpy as np

        if self.rewriter.embedder is None:
            return [float("nan")] * len(rows)
        of = {row: at for at, row in enumerate(dict.fromkeys(rows))}
        embedder = self.rewriter.embedder
        vectors = embedder.encode([self.texts[row].text for row in of] + written)
        texts = vectors[[of[row] for row in rows]]
        return [float(one) for one in np.einsum("nd,nd->n", texts, vectors[len(of) :])]
