"""Hard negatives: where they come from, what is dropped, and that nothing else decides."""

from __future__ import annotations

import numpy as np
import pytest
from mining_corpus import Signed, index_of, pairs_for, texts

from llmaug.errors import RetrievalError
from llmaug.training import mine as mining
from llmaug.training.mine import mine
from llmaug.training.pairs import Pair
from llmaug.training.settings import MiningSettings

pytest.importorskip("faiss", reason="needs the extra retrieval")

CORPUS = texts()
FREE = MiningSettings(relative_margin=None, last=10)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(CORPUS, tmp_path_factory.mktemp("index") / "index")


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    return index_of(CORPUS, tmp_path_factory.mktemp("signed") / "index", embedder=Signed())


def mined(pairs, index, settings=FREE, *, known=None, **options):
    return list(mine(pairs, index, known=known or {}, settings=settings, **options))


@pytest.mark.parametrize("pick", ["random", "hardest"])
def test_every_pair_has_as_many_negatives_as_asked_for_and_none_is_an_answer(index, pick):
    pairs = pairs_for(CORPUS)
    known = {pair.query_id: {pair.document_id, "d00", "d08", "elsewhere"} for pair in pairs}
    settings = MiningSettings(negatives=5, last=10, relative_margin=None, pick=pick)
    found = mined(pairs, index, settings, known=known)
    assert [one.pair for one in found] == pairs
    for one in found:
        ids = [negative.document_id for negative in one.negatives]
        assert len(set(ids)) == 5
        assert not known[one.pair.query_id] & set(ids)
        assert [n.scores.dense for n in one.negatives] == sorted(
            (n.scores.dense for n in one.negatives), reverse=True
        )


@pytest.mark.parametrize("fixture", ["index", "signed"])
def test_scores_and_ranks_are_those_of_the_rankings_whoever_found_the_document(request, fixture):
    index, pairs = request.getfixturevalue(fixture), pairs_for(CORPUS, every=5)
    for one in mined(pairs, index):
        vectors = index.encode([one.pair.query])
        cosines, words = index.dense(vectors, 40)[0], index.bm25([one.pair.query], 40)[0]
        places = {"dense": list(cosines), "bm25": list(words)}
        for id, scores in (
            (one.pair.document_id, one.scores),
            *((n.document_id, n.scores) for n in one.negatives),
        ):
            assert scores.dense == pytest.approx(cosines[id], abs=1e-6)
            assert scores.bm25 == pytest.approx(words.get(id, 0), abs=1e-6)
        for negative in one.negatives:
            ranks = [
                places[source].index(negative.document_id) + 1
                for source in negative.source.split("+")
            ]
            assert negative.rank == min(ranks) <= 10


def test_both_rankings_are_taken_from_in_turn(signed):
    settings = MiningSettings(negatives=6, last=20, relative_margin=None)
    sources = [
        n.source for one in mined(pairs_for(CORPUS), signed, settings) for n in one.negatives
    ]
    assert set(sources) == {"dense", "bm25", "dense+bm25"}
    assert 0.5 < sources.count("dense") / sources.count("bm25") < 2


@pytest.mark.parametrize("source", ["dense", "bm25"])
def test_the_hardest_are_the_first_of_a_ranking(index, source):
    pair = pairs_for(CORPUS)[3]
    settings = MiningSettings(
        negatives=3, sources=(source,), first=2, last=9, pick="hardest", relative_margin=None
    )
    ranked = index.search({"q": pair.query}, k=9, mode=source)["q"]
    best = [id for id in list(ranked)[1:] if id != pair.document_id][:3]
    found = mined([pair], index, settings)[0].negatives
    assert {negative.document_id for negative in found} == set(best)
    assert {negative.source for negative in found} == {source}


def test_what_ranks_better_than_first_is_not_used_at_all(index):
    for one in mined(pairs_for(CORPUS), index, MiningSettings(first=6, last=12)):
        vectors = index.encode([one.pair.query])
        too_good = {*index.dense(vectors, 5)[0], *index.bm25([one.pair.query], 5)[0]}
        assert not too_good & {negative.document_id for negative in one.negatives}


@pytest.mark.parametrize("fixture", ["index", "signed"])
@pytest.mark.parametrize(("margin", "share"), [(0.1, None), (None, 0.0), (None, 0.3), (0.2, 0.1)])
def test_no_negative_that_was_found_is_within_a_margin(request, fixture, margin, share):
    index = request.getfixturevalue(fixture)
    settings = MiningSettings(last=15, margin=margin, relative_margin=share, negatives=3)
    positives = set()
    for one in mined(pairs_for(CORPUS), index, settings):
        positive = one.scores.dense
        positives.add(bool(np.sign(positive) > 0))
        for negative in one.negatives:
            if negative.source != "random":
                assert negative.scores.dense <= positive - (margin or 0)
                assert negative.scores.dense <= positive - (share or 0) * abs(positive)
    assert positives == ({True} if fixture == "index" else {True, False})


def test_copies_of_an_answer_and_of_another_candidate_are_dropped(tmp_path):
    copies = CORPUS | {"copy": CORPUS["d00"], "twin": CORPUS["d08"], "known": CORPUS["d16"]}
    index = index_of(copies, tmp_path / "index")
    settings = MiningSettings(negatives=12, last=20, relative_margin=None, pick="hardest")
    mining = mine(pairs_for(CORPUS)[:1], index, known={"q-d00": ["known"]}, settings=settings)
    ids = {negative.document_id for negative in next(mining).negatives}
    assert not ids & {"d00", "copy", "known", "d16"}
    assert len(ids & {"d08", "twin"}) == 1
    assert mining.account.dropped == {
        "copy of a candidate": 1,
        "copy of an answer": 2,
        "known answer": 2,
    }


def test_too_few_are_made_up_for_by_random_documents_and_counted(index):
    settings = MiningSettings(negatives=6, last=4, relative_margin=0.2)
    mining = mine(pairs_for(CORPUS), index, known={}, settings=settings)
    found = list(mining)
    random = [n for one in found for n in one.negatives if n.source == "random"]
    assert {negative.rank for negative in random} == {0}
    assert all(n.scores.dense is not None and n.scores.bm25 is not None for n in random)
    assert len({negative.document_id for negative in random}) > 20
    account = mining.account
    assert (account.pairs, account.random, account.short) == (
        40,
        len(random),
        sum(any(n.rank == 0 for n in one.negatives) for one in found),
    )
    assert account.dropped["relative margin"] > 0
    assert "at random" in str(account)


def test_neither_order_nor_company_nor_block_changes_a_pair(index, monkeypatch):
    pairs = pairs_for(CORPUS)
    settings = MiningSettings(last=8)
    whole = {one.pair: one for one in mined(pairs, index, settings)}
    monkeypatch.setattr(mining, "BLOCK", 3)
    for part in (pairs[::-1], pairs[7:13], iter(pairs[5:6])):
        for one in mined(part, index, settings):
            assert one == whole[one.pair]


def test_another_seed_draws_others_and_the_same_one_the_same(index):
    pairs = pairs_for(CORPUS)
    one, two, again = (
        mined(pairs, index, MiningSettings(seed=seed, relative_margin=None)) for seed in (1, 2, 1)
    )
    assert one == again
    assert one != two


def test_pairs_of_one_query_are_mined_each_for_its_own_document(index):
    pairs = [Pair("q", "quiet kettle", "d00"), Pair("q", "quiet kettle", "d01")]
    first, second = mined(pairs, index, known={"q": ["d00", "d01"]})
    assert first.scores != second.scores
    assert not {"d00", "d01"} & {n.document_id for one in (first, second) for n in one.negatives}


def test_an_index_of_words_alone_gives_negatives_without_cosines(tmp_path):
    index = index_of(CORPUS, tmp_path / "words", embedder=None)
    settings = MiningSettings(sources=("bm25",), relative_margin=None, last=5)
    found = mined(pairs_for(CORPUS), index, settings)
    assert {n.scores.dense for one in found for n in one.negatives} == {None}
    with pytest.raises(RetrievalError, match="cannot be searched by dense"):
        mined(pairs_for(CORPUS), index, MiningSettings(sources=("bm25",)))
    with pytest.raises(RetrievalError, match="cannot be searched by dense"):
        mined(pairs_for(CORPUS), index, FREE)


def test_a_pair_whose_document_the_index_lacks_is_named(index):
    pairs = [*pairs_for(CORPUS), Pair("q-x", "old clock", "d99"), Pair("q-y", "red oven", "d98")]
    with pytest.raises(RetrievalError, match=r"2 pairs \(.*q-x → d99, q-y → d98\)"):
        mined(pairs, index)


def test_a_corpus_that_is_too_small_for_every_pair_is_refused(tmp_path):
    small = texts(5)
    index = index_of(small, tmp_path / "small")
    assert len(mined(pairs_for(small), index)[0].negatives) == 4
    with pytest.raises(RetrievalError, match="of no pair can 5 of the 5 documents be negatives"):
        mined(pairs_for(small), index, MiningSettings(negatives=5, relative_margin=None))


def test_a_pair_with_too_few_negatives_is_left_out_and_counted(tmp_path):
    small = texts(5)
    mining = mine(pairs_for(small), index_of(small, tmp_path / "small"), known={"q-d02": ["d00"]})
    assert [one.pair.query_id for one in mining] == ["q-d00", "q-d01", "q-d03", "q-d04"]
    assert (mining.account.pairs, mining.account.too_few) == (4, 1)
    assert "1 pairs left out: too few negatives" in str(mining.account)


def test_progress_says_how_many_of_how_many_are_done(index):
    heard = []
    mined(pairs_for(CORPUS), index, progress=lambda *said: heard.append(said))
    mined(iter(pairs_for(CORPUS)), index, progress=lambda *said: heard.append(said))
    assert heard == [("negatives", 40, 40), ("negatives", 40, None)]
