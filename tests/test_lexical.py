"""BM25: which documents a query finds, what a saved index keeps, what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from llmaug.errors import PlanError, RetrievalError
from llmaug.retrieval import lexical
from llmaug.retrieval.bm25 import METHODS, STOPWORDS, bm25, parse_bm25, words
from llmaug.retrieval.lexical import LexicalIndex

bm25s = pytest.importorskip("bm25s", reason="needs the extra retrieval")
Stemmer = pytest.importorskip("Stemmer", reason="needs the extra retrieval")

CORPUS = [
    "The cat sat on the mat",
    "",
    "Dogs and cats: running dogs, run!",
    "a dog runs after the cat that ran",
    "Vögel fliegen über 3000 Häuser",
    "the of and",
    "The cat sat on the mat",
]
LAST_FIRST = np.arange(len(CORPUS))[::-1]


def found(index, query, k=10, **options):
    return index.search([query], k, tie_rank=LAST_FIRST, **options)[0].positions.tolist()


def test_documents_are_found_by_stems_whatever_their_case():
    index = LexicalIndex.build(CORPUS)
    assert found(index, "DOG") == [2, 3]
    assert found(index, "vögel") == [4]
    assert len(index) == len(CORPUS)


def test_equal_scores_are_in_the_order_of_tie_rank():
    index = LexicalIndex.build(CORPUS)
    assert found(index, "mat") == [6, 0]
    assert found(index, "mat", k=1) == [6]


@pytest.mark.parametrize("query", ["", "the", "of and", "x", "zebra", "\x00 \ud800"])
def test_a_query_without_known_words_finds_nothing(query):
    hits = LexicalIndex.build(CORPUS).search([query], 5, tie_rank=LAST_FIRST)[0]
    assert hits.positions.shape == hits.scores.shape == (0,)
    assert (hits.positions.dtype, hits.scores.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_bm25s(method):
    settings = bm25(k1=1.2, b=0.6, method=method, delta=0.7 if method == "bm25l" else 0.5)
    stemmer = Stemmer.Stemmer("english")
    corpus = [*CORPUS, *["birds sing"] * 6]  # robertson has no use for words in every second text
    tokens = bm25s.tokenize(corpus, stopwords="en", stemmer=stemmer, show_progress=False)
    theirs = bm25s.BM25(k1=1.2, b=0.6, method=method, delta=settings.delta)
    theirs.index(tokens, show_progress=False)
    ours = LexicalIndex.build(corpus, settings).scores("the cat runs and runs over houses")
    expected = theirs.get_scores(["cat", "run", "run"])
    assert ours.dtype == np.float32
    matching = [0, 2, 3, 6]
    assert np.flatnonzero(ours).tolist() == matching
    np.testing.assert_allclose(ours[matching], expected[matching], rtol=1e-6)


def test_a_word_counts_as_often_as_a_query_says_it():
    index = LexicalIndex.build(CORPUS)
    np.testing.assert_allclose(index.scores("cat cat cat"), 3 * index.scores("cat"), rtol=1e-6)


def test_the_order_of_words_changes_nothing():
    index = LexicalIndex.build(CORPUS)
    turned = index.scores("mat sat ran after dog cat")
    assert index.scores("cat dog after ran sat mat").tolist() == turned.tolist()


def test_a_corpus_read_in_blocks_makes_the_same_index(monkeypatch):
    whole = LexicalIndex.build(CORPUS)
    monkeypatch.setattr(lexical, "BLOCK", 2)
    heard = []
    blocks = LexicalIndex.build(iter(CORPUS), progress=heard.append)
    assert heard == [2, 4, 6, 7]
    assert sorted(blocks.terms) == sorted(whole.terms)
    monkeypatch.setattr(lexical, "BLOCK_CHARACTERS", 1)
    LexicalIndex.build(CORPUS[:3], progress=heard.append)
    assert heard[4:] == [1, 3]  # the empty text fills no block
    for query in ("cat", "running dog", "häuser 3000"):
        assert blocks.scores(query).tolist() == whole.scores(query).tolist()


def test_a_saved_index_finds_the_same(tmp_path, capfd):
    settings = bm25(stemmer="german", stopwords="de", method="bm25+", delta=0.75)
    index = LexicalIndex.build(CORPUS, settings)
    index.save(tmp_path / "new" / "bm25")
    loaded = LexicalIndex.load(tmp_path / "new" / "bm25")
    assert loaded.settings == settings
    for query in ("cat dogs", "Vogel", "die Häuser", "the"):
        assert loaded.scores(query).tolist() == index.scores(query).tolist()
    assert {path.suffix for path in (tmp_path / "new" / "bm25").iterdir()} == {".npy", ".json"}
    assert capfd.readouterr() == ("", "")  # no progress bars


def test_the_same_corpus_gives_the_same_files_in_every_process(tmp_path):
    script = (
        "import sys; from llmaug.retrieval.lexical import LexicalIndex; "
        "LexicalIndex.build(['cats dog fish', 'bird cow fish', 'ant bee']).save(sys.argv[1])"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script, str(tmp_path / seed)]
        subprocess.run(command, check=True, env=environment)
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert "terms.json" in files
    for name in files:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize("corpus", [[], [""], ["", "the", "a of"]])
def test_a_corpus_without_words_is_refused(corpus):
    with pytest.raises(RetrievalError, match=f"none of the {len(corpus)} documents has a word"):
        LexicalIndex.build(corpus)


def test_odd_texts_are_indexed():
    index = LexicalIndex.build(["\ud800 half\x00pair", "x" * 1_000_000, "İstanbul"])
    for position, query in enumerate(["half", "x" * 1_000_000, "İSTANBUL"]):
        assert np.flatnonzero(index.scores(query)).tolist() == [position]


def test_a_search_for_no_documents_is_refused():
    with pytest.raises(PlanError, match="at least 1 document, not 0"):
        found(LexicalIndex.build(CORPUS), "cat", k=0)


def pickled(path):
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def beyond_the_corpus(path):
    np.save(path, np.load(path) + 1)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("lexical.json", lambda path: path.unlink()),
        ("lexical.json", lambda path: path.write_text("[]")),
        ("lexical.json", lambda path: path.write_text('{"format": 99}')),
        ("lexical.json", lambda path: path.write_text(path.read_text().replace("k1", "kk"))),
        ("lexical.json", lambda path: path.write_text(path.read_text().replace("lucene", "x"))),
        ("terms.json", lambda path: path.write_text('["one"]')),
        ("terms.json", lambda path: path.write_bytes(b"\xff")),
        ("terms.json", lambda path: path.write_text("[" * 100_000)),
        ("weights.npy", lambda path: path.write_bytes(path.read_bytes()[:-4])),
        ("weights.npy", lambda path: path.write_bytes(b"")),
        ("weights.npy", lambda path: np.save(path, np.load(path).astype(np.float64))),
        ("weights.npy", lambda path: path.write_bytes(path.read_bytes().replace(b"}", b"{"))),
        ("weights.npy", pickled),
        ("documents.npy", beyond_the_corpus),
        ("starts.npy", beyond_the_corpus),
        ("starts.npy", lambda path: np.save(path, np.load(path)[::-1].copy())),
        ("absent.npy", lambda path: np.save(path, np.zeros(1, np.float32))),
    ],
)
def test_a_damaged_index_is_refused_in_one_line(tmp_path, name, damage):
    LexicalIndex.build(CORPUS).save(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(RetrievalError, match=r"cannot be read .*; build it again") as refused:
        LexicalIndex.load(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "printed"),
    [
        (bm25(), "bm25(k1=0.9, b=0.4, stemmer='english', stopwords='en')"),
        (bm25(k1=1, stemmer=None, stopwords=None), "bm25(k1=1.0, b=0.4, stemmer=None, "),
        (bm25(method="bm25l", delta=1), "stopwords='en', method='bm25l', delta=1.0)"),
        (bm25(k1=np.float64(1.5), method="atire"), "bm25(k1=1.5, b=0.4, stemmer='english', "),
    ],
)
def test_settings_are_read_back_from_their_printed_form(settings, printed):
    assert printed in str(settings)
    assert parse_bm25(str(settings)) == settings


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("bm25(k1=-0.1)", "k1 must be between 0 and 10, not -0.1"),
        ("bm25(b=1.1)", "b must be between 0 and 1, not 1.1"),
        ("bm25(b='high')", "b must be a number, not 'high'"),
        ("bm25(stemmer='germn')", "unknown stemmer 'germn'; did you mean german"),
        ("bm25(stopwords='english_pluss')", "did you mean english_plus"),
        ("bm25(stopwords=['a'])", "unknown stop word list"),
        ("bm25(method='bm25x')", "unknown method 'bm25x'; did you mean bm25l"),
        ("bm25(delta=1)", "delta belongs to bm25l and bm25+, not lucene"),
        ("bm24()", "unknown lexical scoring bm24; did you mean bm25?"),
    ],
)
def test_settings_that_make_no_sense_are_refused(text, complaint):
    with pytest.raises(PlanError) as refused:
        parse_bm25(text)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("name", STOPWORDS)
def test_every_stop_word_list_is_one_of_bm25s(name):
    assert words(["xyzzy"], bm25(stopwords=name, stemmer=None)).vocab == {"xyzzy": 0}
