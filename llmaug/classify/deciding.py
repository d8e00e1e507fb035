"""Deciding on texts with a fitted policy: classify, normalise, rewrite where open, aggregate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify.policy import Policy, play
from llmaug.classify.rewriter import Rewriter, Rewritten
from llmaug.classify.usable import no_rewrite, without_noise
from llmaug.classify.votes import Votes
from llmaug.errors import TextError
from llmaug.outcome import Drop
from llmaug.request import Classifier
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


class Deciding:
    """A classifier, a rewriter and a policy at work on batches of texts."""

    def __init__(
        self, classifier: Classifier, rewriter: Rewriter, *, policy: Policy, normalise: bool
    ) -> None:
        self.classifier, self.rewriter = classifier, rewriter
        self.policy, self.normalise = policy, normalise
        self.noticed: Counter[str] = Counter()  # what steps noticed of the last texts

    def decide(self, texts: Sequence[Text]) -> list[Decision]:
        """The decision on each text, in order; the texts have different ids."""
        if len({text.id for text in texts}) < len(texts):
            raise TextError("two texts have the same id; give each its own")
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
            if row in recorder.last:
                decision.drops = recorder.last[row].drops + recorder.drops[row]
            decision.failure = recorder.failures.get(row, "")
        self.noticed = recorder.noticed
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
            cleaned = without_noise(read[row].text)
            if cleaned != read[row].text:
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
        self.drops: dict[int, list[Drop]] = {}  # rewrites that the plan let through
        self.noticed: Counter[str] = Counter()

    def more(self, rows: np.ndarray, number: int) -> np.ndarray:
        """Add what is new among the first `number` rewrites of the texts in those rows.

        Gives the rows for which it is hopeless to ask for more.
        """
        import numpy as np

        found = self.rewriter.first([self.texts[row] for row in rows], number)
        # A step says the same of a text in each round, so the rounds are not added up.
        self.noticed |= self.rewriter.noticed
        new: list[tuple[int, Text, int]] = []
        for row in rows.tolist():
            self.last[row] = made = found[self.texts[row].id]
            self.failures.pop(row, None)
            if made.failure:
                self.failures[row] = made.failure
            known = Counter(one.text.text for one in self.seen.get(row, []))
            self.drops[row] = []
            for text, source in made.variants:
                if reason := no_rewrite(text.text, of=self.texts[row].text):
                    self.drops[row].append(Drop(text, reason))
                elif known[text.text]:
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
