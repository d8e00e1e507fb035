"""Queries that have their words in common with one of a known set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from llmaug.steps.word_runs import Run, runs, words

# Four fifths of the distinct words of two queries are in both: their Jaccard similarity is 0.8.
PART, WHOLE = 4, 5


class SharedWords:
    """Known queries by their words, their runs of words and their rarest words.

    Two sets of words with so much in common share one of their first few, if both are sorted with
    the rarest word first: only those are looked up (prefix filtering, Chaudhuri et al. 2006).
    """

    def __init__(self, known: Mapping[str, str], *, run: int) -> None:
        self.run = run
        self._whole: dict[Run, str] = {}
        self._runs: dict[Run, str] = {}
        self._sets: dict[str, frozenset[str]] = {}
        self._rare: defaultdict[str, list[str]] = defaultdict(list)
        split = {id: words(query) for id, query in known.items()}
        self._common = Counter(word for held in split.values() for word in set(held))
        for id, held in split.items():
            if not held:
                continue
            self._whole.setdefault(tuple(held), id)
            for one in runs(held, run):
                self._runs.setdefault(one, id)
            self._sets[id] = frozenset(held)
            for word in self._first(self._sets[id]):
                self._rare[word].append(id)

    def match(self, query: str) -> tuple[str, str] | None:
        """The id of the known query that this one is too close to and the way; None if none is."""
        held = words(query)
        if not held:
            return None
        if same := self._whole.get(tuple(held)):
            return same, "same words"
        for one in runs(held, self.run):
            if one in self._runs:
                return self._runs[one], f"a run of {self.run} words"
        own = frozenset(held)
        candidates = dict.fromkeys(
            id for word in self._first(own) for id in self._rare.get(word, ())
        )
        for id in candidates:
            both = len(own & self._sets[id])
            if WHOLE * both >= PART * (len(own) + len(self._sets[id]) - both):
                return id, "nearly the same words"
        return None

    def _first(self, held: Iterable[str]) -> list[str]:
        """The words of which a set with so much in common must share one."""
        ordered = sorted(held, key=lambda word: (self._common[word], word))
        return ordered[: len(ordered) - -(-PART * len(ordered) // WHOLE) + 1]
