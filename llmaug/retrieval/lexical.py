"""Finding documents by the words that they share with a query: BM25, through bm25s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from llmaug.errors import OutputError, PlanError, RetrievalError
from llmaug.retrieval.bm25 import BM25 as BM25
from llmaug.retrieval.bm25 import TokenizedCorpus, words
from llmaug.retrieval.bm25 import bm25 as bm25
from llmaug.retrieval.bm25 import parse_bm25 as parse_bm25
from llmaug.retrieval.top import Hits, top

if TYPE_CHECKING:
    import numpy as np

BLOCK = 10_000  # documents tokenised at once, fewer where they are long
BLOCK_CHARACTERS = 20_000_000
FORMAT = 1
# What numpy and json raise for files that are not theirs; numpy tokenizes a header as Python.
MALFORMED = (ValueError, TypeError, KeyError, SyntaxError, TokenError)
ARRAYS = {"weights": "float32", "documents": "int32", "starts": "int64", "absent": "float32"}


class LexicalIndex:
    """An inverted index: for each term the documents that hold it, and what it is worth in each.

    The documents of term t and its weights there are at `starts[t]:starts[t + 1]` of the two
    arrays. `absent[t]` is what bm25l and bm25+ give every document for a term of the query; here
    only documents that match get it, and the others are not found at all.
    """

    FILES = (*(f"{name}.npy" for name in ARRAYS), "terms.json", "lexical.json")

    def __init__(
        self, settings: BM25, terms: Sequence[str], size: int, *, arrays: dict[str, np.ndarray]
    ) -> None:
        self.settings, self.terms, self.size = settings, list(terms), size
        self._arrays = arrays
        self._id_of = {term: number for number, term in enumerate(self.terms)}

    def __len__(self) -> int:
        return self.size

    @classmethod
    def build(
        cls,
        documents: Iterable[str],
        settings: BM25 | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> LexicalIndex:
        """Index documents in one pass; `progress` hears how many were read so far.

        Memory: 4 bytes per word of the corpus and about 30 per distinct word of a document. A
        document may be empty; raises `RetrievalError` when no document has a word that counts.
        """
        settings = settings or BM25()
        corpus = TokenizedCorpus()
        for block in _blocks(documents):
            corpus.add(block, settings)
            if progress:
                progress(len(corpus))
        if not corpus.vocab:
            raise RetrievalError(
                f"none of the {len(corpus):,} documents has a word to index "
                f"(after stop words: {settings.stopwords}); check which field the text is in"
            )
        import bm25s

        scorer = bm25s.BM25(
            k1=settings.k1,
            b=settings.b,
            delta=settings.delta,
            method=settings.method,
            csc_backend="scipy",
        )
        scorer.index(corpus, create_empty_token=False, show_progress=False)
        return cls(settings, list(corpus.vocab), len(corpus), arrays=_arrays_of(scorer))

    def scores(self, query: str) -> np.ndarray:
        """The score of every document, (n,) float32; 0 where it shares no term with the query."""
        import numpy as np

        hits = self.search([query], self.size, tie_rank=np.arange(self.size))[0]
        scores = np.zeros(self.size, dtype=np.float32)
        scores[hits.positions] = hits.scores
        return scores

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        tie_rank: np.ndarray,
    ) -> list[Hits]:
        """The k best documents for each query, best first; fewer where fewer score above 0.

        A term that a query repeats counts that often; terms that no document has are skipped.
        (Under robertson a term that half of the documents have is worth 0, and finds none.)
        In one thread: more of them gain nothing, since numpy keeps Python's lock for most of it.
        """
        if k < 1:
            raise PlanError(f"a search returns at least 1 document, not {k}")

        return [self._search(terms, k, tie_rank) for terms in self._numbered(queries)]

    def _numbered(self, queries: Sequence[str]) -> list[list[int]]:
        """The numbers of the terms of each query that the index knows."""
        found = words(queries, self.settings)
        number = {here: self._id_of.get(term, -1) for term, here in found.vocab.items()}
        return [[n for here in ids if (n := number[here]) >= 0] for ids in found.ids]

    @property
    def postings(self) -> int:
        """The sum of all terms' document frequencies."""
        return len(self._arrays["documents"])

    def document_frequencies(self, texts: Sequence[str]) -> list[dict[str, int]]:
        """For each text its terms that some document holds, and how many documents do."""
        starts = self._arrays["starts"]
        return [
            {self.terms[term]: int(starts[term + 1] - starts[term]) for term in terms}
            for terms in self._numbered(texts)
        ]

    def _search(self, terms: list[int], k: int, tie_rank: np.ndarray) -> Hits:
        import numpy as np

        documents, weights = self._arrays["documents"], self._arrays["weights"]
        starts, absent = self._arrays["starts"], self._arrays["absent"]
        scores, absent_score = np.zeros(self.size, dtype=np.float32), np.float32(0)
        # Sorted, so that the order of a query's words cannot change a sum.
        for term, times in sorted(Counter(terms).items()):
            span = slice(starts[term], starts[term + 1])
            added = weights[span] if times == 1 else weights[span] * np.float32(times)
            np.add.at(scores, documents[span], added)
            absent_score += absent[term] * np.float32(times)
        found = np.flatnonzero(scores > 0)
        # Chosen among these only: numpy is slow at selecting from thousands of zeros.
        best = top(scores[found] + absent_score, k, tie_rank, among=found)
        return Hits(best, scores[best] + absent_score)

    def save(self, folder: str | Path) -> None:
        """Write the index as numpy arrays and JSON; the folder is made where it lacks."""
        import numpy as np
        import orjson

        folder = Path(folder)
        about = {"format": FORMAT, "size": self.size, "settings": asdict(self.settings)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ARRAYS:
                np.save(folder / f"{name}.npy", self._arrays[name], allow_pickle=False)
            (folder / "terms.json").write_bytes(orjson.dumps(self.terms))
            (folder / "lexical.json").write_bytes(orjson.dumps(about))
        except OSError as error:
            raise OutputError(
                f"the lexical index {folder} cannot be written: {error.strerror or error}"
            ) from None

    @classmethod
    def load(cls, folder: str | Path) -> LexicalIndex:
        """Open a saved index, its arrays memory-mapped; raises `RetrievalError` where it cannot."""
        import numpy as np
        import orjson

        folder = Path(folder)
        try:
            about = orjson.loads((folder / "lexical.json").read_bytes())
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']!r}, this version reads {FORMAT}")
            terms = orjson.loads((folder / "terms.json").read_bytes())
            arrays = {
                name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
                for name in ARRAYS
            }
            settings, size = BM25(**about["settings"]), int(about["size"])
            _check(arrays, terms, size)
        except (OSError, EOFError, PlanError, *MALFORMED) as error:
            why = " ".join(str(error).split())
            raise RetrievalError(
                f"the lexical index {folder} cannot be read ({why}); build it again"
            ) from None
        return cls(settings, terms, size, arrays=arrays)


def _blocks(documents: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] = []
    characters = 0
    for document in documents:
        block.append(document)
        characters += len(document)
        if len(block) >= BLOCK or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _arrays_of(scorer: Any) -> dict[str, np.ndarray]:
    import numpy as np

    starts = np.asarray(scorer.scores["indptr"], dtype=np.int64)
    absent = scorer.nonoccurrence_array
    return {
        "weights": np.asarray(scorer.scores["data"], dtype=np.float32),
        "documents": np.asarray(scorer.scores["indices"], dtype=np.int32),
        "starts": starts,
        "absent": np.zeros(len(starts) - 1, np.float32) if absent is None else absent,
    }


def _check(arrays: dict[str, np.ndarray], terms: Any, size: int) -> None:
    """Raise `ValueError` when the parts of an index do not fit each other."""
    for name, dtype in ARRAYS.items():
        if arrays[name].dtype != dtype or arrays[name].ndim != 1:
            raise ValueError(f"{name}.npy is not a vector of {dtype}")
    starts, documents = arrays["starts"], arrays["documents"]
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise ValueError("terms.json is not a list of strings")
    if not len(terms) + 1 == len(starts) == len(arrays["absent"]) + 1:
        raise ValueError("its terms and arrays differ in number")
    ends_fit = starts[0] == 0 and starts[-1] == len(documents) == len(arrays["weights"])
    if not ends_fit or (starts[1:] < starts[:-1]).any():
        raise ValueError("starts.npy does not fit the arrays that it divides")
    if len(documents) and not 0 <= documents.min() <= documents.max() < size:
        raise ValueError(f"documents.npy names documents outside 0 to {size - 1}")
