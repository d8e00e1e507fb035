"""What can be known of a query without judgements: how hard it will be to answer.

Query performance predictors, the features of a gate. Three kinds by what they cost: of the query's
words alone, of the plain rankings, and (`after_…`) of what an expansion did to the ranking, which
are only there once the language model has been paid.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llmaug.errors import RetrievalError, did_you_mean
from llmaug.retrieval.documents import contents
from llmaug.retrieval.index_reader import IndexReader
from llmaug.retrieval.rankings import Rankings

DEPTH = 100  # documents of a ranking that its spread is taken over (Shtok et al. 2012)
TOP = 10  # documents that overlap, spread and clarity look at

Features = dict[str, dict[str, float]]  # query id -> {feature: value}


class Feature(NamedTuple):
    """What a feature is, who proposed it, and what it needs: sides of an index, or "expansion"."""

    about: str
    source: str
    needs: frozenset[str]


def _feature(about: str, source: str, *needs: str) -> Feature:
    return Feature(about, source, frozenset(needs))


HAUFF = "Hauff, Hiemstra and de Jong, CIKM 2008"
SHTOK = "Shtok, Kurland et al., TOIS 2012"
ZHAO = "Zhao, Scholer and Tsegay, ECIR 2008"
OWN = "llmaug"

FEATURES: dict[str, Feature] = {
    "words": _feature("words of the query", HAUFF),
    "idf_mean": _feature("mean of ln(N/df) over its terms that are in the index", HAUFF, "bm25"),
    "idf_max": _feature("largest ln(N/df)", HAUFF, "bm25"),
    "scq_sum": _feature("sum of (1 + ln df) ln(1 + N/df) over its terms", ZHAO, "bm25"),
    "scq_max": _feature("largest (1 + ln df) ln(1 + N/df)", ZHAO, "bm25"),
    "top1": _feature("cosine of the nearest document", HAUFF, "dense"),
    "gap": _feature("cosine of the first less that of the second", HAUFF, "dense"),
    "spread": _feature(f"standard deviation of the {TOP} best cosines", SHTOK, "dense"),
    "nqc": _feature(f"deviation over mean of the {DEPTH} best cosines", SHTOK, "dense"),
    "bm25_top1": _feature("BM25 score of the first document", HAUFF, "bm25"),
    "bm25_gap": _feature("BM25 score of the first less that of the second", HAUFF, "bm25"),
    "bm25_spread": _feature(f"standard deviation of the {TOP} best BM25 scores", SHTOK, "bm25"),
    "bm25_nqc": _feature(f"deviation over mean of the {DEPTH} best BM25 scores", SHTOK, "bm25"),
    "overlap": _feature(
        f"share of the {TOP} nearest documents in BM25's first {TOP}", OWN, "dense", "bm25"
    ),
    "agreed": _feature(
        "1 / rank that BM25 gives the nearest document, 0 beyond 100", OWN, "dense", "bm25"
    ),
    "bm25_agreed": _feature(
        "1 / rank that the cosines give BM25's first document", OWN, "dense", "bm25"
    ),
    "clarity": _feature(
        f"how far the words of the {TOP} nearest documents are from the corpus, in bits",
        "Cronen-Townsend, Zhou and Croft, SIGIR 2002",
        *("dense", "bm25"),
    ),
    "after_words": _feature("words of the expansion", OWN, "expansion"),
    "after_top1": _feature("score of the first document of the expanded ranking", OWN, "expansion"),
    "after_gain": _feature("that less the score of the plain first document", OWN, "expansion"),
    "after_overlap": _feature(
        f"share of the plain first {TOP} in the expanded first {TOP}", OWN, "expansion"
    ),
    "after_kept": _feature(
        "1 / rank of the plain first document in the expanded ranking", OWN, "expansion"
    ),
}


def known_feature(name: str) -> str:
    """The name itself where there is such a feature, else `RetrievalError` with close matches."""
    if name not in FEATURES:
        raise RetrievalError(f"no feature {name!r}; {did_you_mean(str(name), FEATURES)}")
    return name


def predictors(
    index: IndexReader,
    queries: Mapping[str, str],
    *,
    plain: Mapping[str, Rankings] | None = None,
) -> Features:
    """The features of every query {id: text} that are there before an expansion.

    `plain` are rankings already there, by mode ("dense", "bm25"); those that lack, or that are
    less than 100 deep, are searched here. An index of one side gives the features of that side.
    Every value is finite: with nothing found, or no word of the query in the index, what would
    be taken over it is 0, and so is a gap with one document found.

    Departures: an index keeps how many documents hold a term, not how often, so SCQ takes df for
    the collection frequency, and clarity counts each word of a document once, without smoothing;
    NQC is divided by the mean of the list where the paper takes the score of the whole corpus.
    """
    words = index.lexical
    found: Features = {id: {"words": float(len(text.split()))} for id, text in queries.items()}
    if words is not None:
        frequencies = words.document_frequencies(list(queries.values()))
        for features, of in zip(found.values(), frequencies, strict=True):
            features.update(_rarity(list(of.values()), len(words)))
    sides = [mode for mode in ("dense", "bm25") if mode in index.modes]
    rankings = {mode: _ranked(index, queries, mode, (plain or {}).get(mode)) for mode in sides}
    for mode, of_queries in rankings.items():
        prefix = "" if mode == "dense" else "bm25_"
        for id, features in found.items():
            shape = _shape(list(of_queries[id].values()))
            features.update({prefix + name: value for name, value in shape.items()})
    if words is not None and "dense" in rankings:
        total = words.postings
        for id, features in found.items():
            dense, lexical = list(rankings["dense"][id]), list(rankings["bm25"][id])
            features["overlap"] = _overlap(dense, lexical)
            features["agreed"] = _reciprocal_rank(dense[:1], lexical)
            features["bm25_agreed"] = _reciprocal_rank(lexical[:1], dense)
            texts = [contents(index.document(document)) for document in dense[:TOP]]
            features["clarity"] = _clarity(words.document_frequencies(texts), total)
    return found


def after_expansion(
    plain: Rankings, expanded: Rankings, expansions: Mapping[str, Sequence[str]]
) -> Features:
    """The features of every query that show what its expansion did to the ranking of one mode."""
    found = {}
    for id, ranking in plain.items():
        before, after = list(ranking), list(expanded.get(id, {}))
        top_before, top_after = ranking.get(before[0], 0.0) if before else 0.0, 0.0
        if after:
            top_after = expanded[id][after[0]]
        found[id] = {
            "after_words": float(sum(len(text.split()) for text in expansions.get(id, ()))),
            "after_top1": top_after,
            "after_gain": top_after - top_before,
            "after_overlap": _overlap(before, after),
            "after_kept": _reciprocal_rank(before[:1], after),
        }
    return found


def joined(*features: Mapping[str, Mapping[str, float]]) -> Features:
    """Features of the same queries from several sources as one."""
    return {
        id: {name: value for of in features for name, value in of.get(id, {}).items()}
        for id in features[0]
    }


def _ranked(
    index: IndexReader, queries: Mapping[str, str], mode: str, given: Rankings | None
) -> Rankings:
    """The first 100 documents of each query: those given where they reach that deep."""
    deep = min(DEPTH, len(index))
    there = given is not None and all(id in given for id in queries)
    if given is None or not there or max(map(len, given.values()), default=0) < deep:
        given = index.search(queries, k=deep, mode=mode)
    return {id: dict(itertools.islice(given[id].items(), deep)) for id in queries}


def _rarity(frequencies: Sequence[int], documents: int) -> dict[str, float]:
    idf = [math.log(documents / df) for df in frequencies] or [0.0]
    scq = [(1 + math.log(df)) * math.log(1 + documents / df) for df in frequencies] or [0.0]
    return {
        "idf_mean": math.fsum(idf) / len(idf),
        "idf_max": max(idf),
        "scq_sum": math.fsum(scq),
        "scq_max": max(scq),
    }


def _shape(scores: Sequence[float]) -> dict[str, float]:
    """How the scores of a ranking, best first, fall off."""
    mean = math.fsum(scores) / len(scores) if scores else 0.0
    return {
        "top1": scores[0] if scores else 0.0,
        "gap": scores[0] - scores[1] if len(scores) > 1 else 0.0,
        "spread": _deviation(scores[:TOP]),
        "nqc": _deviation(scores) / abs(mean) if abs(mean) > 1e-6 else 0.0,
    }


def _deviation(scores: Sequence[float]) -> float:
    if not scores:
        return 0.0
    mean = math.fsum(scores) / len(scores)
    return math.hypot(*(score - mean for score in scores)) / math.sqrt(len(scores))


def _overlap(first: Sequence[str], second: Sequence[str]) -> float:
    return len(set(first[:TOP]) & set(second[:TOP])) / TOP


def _reciprocal_rank(wanted: Sequence[str], ranking: Sequence[str]) -> float:
    return 1 / (ranking.index(wanted[0]) + 1) if wanted and wanted[0] in ranking else 0.0


def _clarity(documents: Sequence[Mapping[str, int]], total: int) -> float:
    """The divergence of the documents' words from the corpus, in bits.

    Each of the `documents` is {term: number of documents of the corpus that hold it}, and `total`
    the sum of those numbers over all terms. A document without a term of the index says nothing
    and is left out; where none has one, or there is none, the value is 0.
    """
    shares: defaultdict[str, float] = defaultdict(float)
    frequency: dict[str, int] = {}
    with_terms = [document for document in documents if document]
    for document in with_terms:
        frequency.update(document)
        for term in document:
            shares[term] += 1 / len(document) / len(with_terms)
    return math.fsum(
        share * math.log2(share * total / frequency[term]) for term, share in shares.items()
    )
