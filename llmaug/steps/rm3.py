"""`rm3`: the classic expansion by pseudo-relevance feedback, without a language model."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step, all_of
from llmaug.steps.excerpts import MOST, NOTHING_FOUND, check_whole, found
from llmaug.text import Text

LENGTH = 100  # words of the expansion: a weight is expressed to one part in a hundred
MOST_TERMS = LENGTH
# As Anserini: other tokens are rarely words.
TERM = re.compile(r"(?<!\w)\w{2,20}(?!\w)")
ENGLISH = """
about above after again against all also although am an and any are as at be because been before
being below between both but by can cannot could did do does doing down during each either etc
few for from further had has have having he her here hers herself him himself his how however if
in into is it its itself just may me might more most must my myself neither no nor not of off on
once only or other our ours ourselves out over own per same shall she should since so some such
than that the their theirs them themselves then there these they this those through thus to too
under until up upon us very via was we were what when where whether which while who whom whose
why will with within without would you your yours yourself yourselves don didn doesn isn wasn ll
re ve
"""
STOP_WORDS = frozenset(ENGLISH.split())


@dataclass(frozen=True, repr=False)
class RM3(Step):
    """One text of weighted words: the query's own and those typical of the documents it finds.

    A relevance model (Lavrenko and Croft 2001, SIGIR, "Relevance-based language models", the
    first method, i.i.d. sampling) from the best `documents` of the index: the frequency of a word
    in a document, times the document's score, both as shares. Its best `terms` are mixed with the
    query's words, which keep the share `weight` (RM3: Abdul-Jaleel et al. 2004, "UMass at
    TREC 2004: Novelty and HARD"). A word's share is how often it stands in the text, which has
    about 100 words.

    The text holds the query's words already: it is RM3 when searched by itself, and adding the
    query again gives the query more than `weight`. Departs in that the document's score in the
    index, where above 0, stands for the likelihood of the query, that words are not stemmed, and
    that stop words are English. A query that finds nothing has no expansion.
    """

    documents: int = 10
    terms: int = 10
    weight: float = 0.5

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"index"})

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"passage_ids"})

    def check(self) -> None:
        check_whole(self, most=MOST, documents=self.documents)
        check_whole(self, most=MOST_TERMS, terms=self.terms)
        weight = self.weight
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= 1:
            raise PlanError(f"{self}: weight must be a number from 0 to 1")

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        made = await all_of([self._expanded(text, ctx) for text in texts])
        return [text for text in made if text is not None]

    async def _expanded(self, text: Text, ctx: Context) -> Text | None:
        passages = await found(text.text, text, ctx, k=self.documents, depth=self.documents)
        model = mixed(text.text, relevance_model(passages, self.terms), self.weight)
        if not passages or not model:
            nothing = text.derive("", made_by=str(self), id=text.id)
            ctx.drop(nothing, "no terms found" if passages else NOTHING_FOUND)
            return None
        ids = [passage.id for passage in passages]
        expansion = " ".join(repeated(model))
        return text.derive(expansion, made_by=str(self), id=f"{text.id}/rm3.0", passage_ids=ids)


def relevance_model(passages: Sequence[Text], terms: int) -> dict[str, float]:
    """The `terms` most likely words of documents weighted by their scores; shares sum to 1."""
    shares: dict[str, float] = {}
    for passage, score in zip(passages, _scores(passages), strict=True):
        words = Counter(_terms(f"{passage.meta.get('title') or ''}\n{passage.text}"))
        length = words.total()
        for word, times in words.items():
            shares[word] = shares.get(word, 0.0) + score * times / length
    best = sorted(shares, key=lambda word: (-shares[word], word))[:terms]
    return _normalised({word: shares[word] for word in best if shares[word] > 0})


def mixed(query: str, model: Mapping[str, float], weight: float) -> dict[str, float]:
    """The query's words with the share `weight` and the model's with the rest.

    Where one of the two has no words, the other has it all.
    """
    own = _normalised(Counter(_terms(query)))
    weight = weight if own and model else float(bool(own))
    words = dict.fromkeys([*own, *model])
    return {
        word: share
        for word in words
        if (share := weight * own.get(word, 0.0) + (1 - weight) * model.get(word, 0.0)) > 0
    }


def repeated(model: Mapping[str, float]) -> list[str]:
    """Words as often as their shares say, the most frequent first, each at least once.

    About `LENGTH` in all, by largest remainders; longer only where there are more words.
    """
    exact = {word: share * LENGTH for word, share in model.items()}
    times = {word: max(1, math.floor(value)) for word, value in exact.items()}
    left = LENGTH - sum(times.values())
    by_remainder = sorted(exact, key=lambda word: (times[word] - exact[word], word))
    for word in by_remainder[: max(0, left)]:
        times[word] += 1
    ordered = sorted(times, key=lambda word: (-times[word], -exact[word], word))
    return [word for word in ordered for _ in range(times[word])]


def _scores(passages: Sequence[Text]) -> list[float]:
    """The passages' scores as shares of their sum; equal ones where none is above 0."""
    scores = [passage.meta.get("score") for passage in passages]
    kept = [
        float(score) if isinstance(score, int | float) and 0 < score < math.inf else 0.0
        for score in scores
    ]
    total = sum(kept)
    return [score / total if total else 1 / len(kept) for score in kept]


def _terms(text: str) -> list[str]:
    return [word for word in TERM.findall(text.lower()) if word not in STOP_WORDS]


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}
