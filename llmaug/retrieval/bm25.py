"""BM25's settings, and the words that it sees in a text."""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmaug.errors import MissingExtra, PlanError, did_you_mean
from llmaug.retrieval.one_call import parse_call

if TYPE_CHECKING:
    from bm25s.tokenization import Tokenized

METHODS = ("lucene", "robertson", "atire", "bm25l", "bm25+")
WITH_DELTA = ("bm25l", "bm25+")
# The lists that bm25s carries, by its own names for them.
STOPWORDS = (
    *("en", "english", "en_plus", "english_plus", "da", "danish", "de", "german"),
    *("es", "spanish", "fr", "french", "it", "italian", "ko", "korean", "nl", "dutch"),
    *("no", "norwegian", "pt", "portuguese", "ru", "russian", "sv", "swedish"),
    *("tr", "turkish", "zh", "chinese"),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class BM25:
    """How words count: a value whose printed form `parse_bm25` reads back.

    `k1` says how soon repetition stops counting, `b` how much long documents are held back;
    `method` is the variant (Kamphuis et al. 2020, table 1) and `delta` belongs to bm25l and bm25+.
    `stemmer` is an algorithm of PyStemmer and `stopwords` a list of bm25s; None does without.
    Raises `PlanError` where a value makes no sense.
    """

    k1: float = 0.9
    b: float = 0.4
    stemmer: str | None = "english"
    stopwords: str | None = "en"
    method: str = "lucene"
    delta: float = 0.5

    def __post_init__(self) -> None:
        for name, highest in (("k1", 10), ("b", 1), ("delta", 10)):
            _check_number(name, getattr(self, name), highest)
        _check_name("method", self.method, METHODS)
        # PyStemmer has always had English, and plain settings should not have to import it.
        if self.stemmer not in (None, BM25.stemmer):
            _check_name("stemmer", self.stemmer, _stemmers())
        if self.stopwords is not None:
            _check_name("stop word list", self.stopwords, STOPWORDS)
        if self.delta != BM25.delta and self.method not in WITH_DELTA:
            raise PlanError(f"bm25: delta belongs to {' and '.join(WITH_DELTA)}, not {self.method}")

    def __str__(self) -> str:
        text = f"bm25(k1={float(self.k1)}, b={float(self.b)}"
        text += f", stemmer={self.stemmer!r}, stopwords={self.stopwords!r}"
        if self.method != BM25.method:
            text += f", method={self.method!r}"
        if self.method in WITH_DELTA:
            text += f", delta={float(self.delta)}"
        return text + ")"

    __repr__ = __str__


def bm25(
    *,
    k1: float = BM25.k1,
    b: float = BM25.b,
    stemmer: str | None = BM25.stemmer,
    stopwords: str | None = BM25.stopwords,
    method: str = BM25.method,
    delta: float = BM25.delta,
) -> BM25:
    """The settings of BM25 under the name that they are printed with; see `BM25`."""
    return BM25(k1=k1, b=b, stemmer=stemmer, stopwords=stopwords, method=method, delta=delta)


def parse_bm25(text: str) -> BM25:
    """The settings that a text such as `bm25(k1=1.2, b=0.75)` says."""
    return parse_call(text, {"bm25": bm25}, kind="lexical scoring")


def words(texts: Sequence[str], settings: BM25) -> Tokenized:
    """For each text the ids of its words, and what each id stands for; ids hold for this call.

    Words are runs of two or more letters, digits and underscores, lower-cased; stop words go, then
    the rest is stemmed.
    """
    try:
        import bm25s
        import Stemmer
    except ImportError as error:
        raise MissingExtra(error.name or "bm25s", "retrieval") from None

    # A new stemmer costs microseconds, and one shared between threads is not safe.
    stemmer = Stemmer.Stemmer(settings.stemmer) if settings.stemmer else None
    found: Tokenized = bm25s.tokenize(
        texts, stopwords=settings.stopwords, stemmer=stemmer, show_progress=False
    )
    return found


class TokenizedCorpus:
    """What bm25s reads: for each document the numbers of its terms, in 4 bytes each."""

    def __init__(self) -> None:
        self.vocab: dict[str, int] = {}
        self._terms = array("i")
        self._ends = array("q", [0])

    def add(self, documents: Sequence[str], settings: BM25) -> None:
        found = words(documents, settings)
        # bm25s numbers stems in the order of a set, which differs from one process to the next.
        number = {
            here: self.vocab.setdefault(term, len(self.vocab))
            for term, here in sorted(found.vocab.items())
        }
        for ids in found.ids:
            self._terms.extend(number[here] for here in ids)
            self._ends.append(len(self._terms))

    @property
    def ids(self) -> TokenizedCorpus:
        """Itself: bm25s asks for the documents by this name, and only iterates over them."""
        return self

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[array[int]]:
        for start, end in itertools.pairwise(self._ends):
            yield self._terms[start:end]


def _stemmers() -> Sequence[str]:
    try:
        import Stemmer
    except ImportError:
        raise MissingExtra("PyStemmer", "retrieval") from None
    algorithms: Sequence[str] = Stemmer.algorithms()
    return algorithms


def _check_number(name: str, value: Any, highest: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PlanError(f"bm25: {name} must be a number, not {value!r}")
    if not 0 <= value <= highest:
        raise PlanError(f"bm25: {name} must be between 0 and {highest}, not {value!r}")


def _check_name(what: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise PlanError(f"bm25: unknown {what} {value!r}; {did_you_mean(str(value), known)}")
