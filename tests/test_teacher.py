"""Teachers: what they say, what is refused, and what mining makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from mining_corpus import Said, index_of, pairs_for, texts
from tiny_cross_encoder import relevance_alone, tiny_cross_encoder

from llmaug.errors import RetrievalError
from llmaug.training.mine import mine
from llmaug.training.settings import MiningSettings
from llmaug.training.teacher import CrossEncoderTeacher, FusionTeacher, ask, teach

pytest.importorskip("faiss", reason="needs the extra retrieval")

CORPUS = texts()
PAIRS = pairs_for(CORPUS, every=3)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(CORPUS, tmp_path_factory.mktemp("index") / "index")


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    pytest.importorskip("transformers", reason="needs the extra train")
    return tiny_cross_encoder(tmp_path_factory.mktemp("cross-encoder"))


def settings(**changed):
    return MiningSettings(**{"last": 10, "relative_margin": None} | changed)


def test_a_cross_encoder_reads_the_documents_of_the_index(index, cross_encoder):
    teacher = CrossEncoderTeacher(cross_encoder, index)
    asked = {"quiet kettle": ["d00", "d07", "d02"], "red": [], "vacuum leaks": ["d08"]}
    given = teacher.scores(list(asked), list(asked.values()))
    assert [len(scores) for scores in given] == [3, 0, 1]
    for (query, ids), scores in zip(asked.items(), given, strict=True):
        raw = np.array([relevance_alone(cross_encoder, query, CORPUS[id]) for id in ids])
        assert scores == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5)
    assert np.ptp(np.concatenate(given)) > 0.01


def test_a_cross_encoder_can_be_asked_about_nothing(index, cross_encoder):
    teacher = CrossEncoderTeacher(cross_encoder, index)
    assert teacher.scores([], []) == []
    assert [len(scores) for scores in teacher.scores(["red", "old"], [[], []])] == [0, 0]


def test_a_fusion_gives_what_stands_first_in_both_rankings_most(index):
    teacher = FusionTeacher(index)
    pair = PAIRS[0]
    scores = teacher.scores([pair.query], [list(CORPUS)])[0]
    assert 0 <= scores.min() < 0.1
    assert scores.max() == scores[list(CORPUS).index("d00")] == 1


def test_scores_of_a_fusion_do_not_depend_on_what_else_is_asked(index):
    teacher = FusionTeacher(index, weight=0.3, depth=20)
    queries = [pair.query for pair in PAIRS]
    whole = teacher.scores(queries, [list(CORPUS)] * len(queries))
    for query, scores in zip(queries, whole, strict=True):
        few = teacher.scores([query], [["d30", "d02"]])[0]
        assert few.tolist() == [scores[30], scores[2]]


def test_fingerprints_differ_with_what_decides_a_score(index, tmp_path, cross_encoder):
    other = index_of(texts(seed=1), tmp_path / "other")
    teachers = [
        FusionTeacher(index),
        FusionTeacher(index, weight=0.4),
        FusionTeacher(index, depth=10),
        FusionTeacher(other),
        CrossEncoderTeacher(cross_encoder, index),
        CrossEncoderTeacher(cross_encoder, other),
    ]
    assert len({teacher.fingerprint for teacher in teachers}) == len(teachers)
    assert FusionTeacher(index).fingerprint == teachers[0].fingerprint


def test_a_fusion_needs_both_sides(tmp_path):
    words = index_of(CORPUS, tmp_path / "words", embedder=None)
    with pytest.raises(RetrievalError, match="cannot be searched by hybrid"):
        FusionTeacher(words)


def test_an_id_that_a_teacher_does_not_know_is_named(index, cross_encoder):
    for teacher in (FusionTeacher(index), CrossEncoderTeacher(cross_encoder, index)):
        with pytest.raises(RetrievalError, match="does not know document 'd77' of query 'old'"):
            teacher.scores(["red", "old"], [["d00"], ["d01", "d77"]])


class Broken:
    name, fingerprint = "broken", "broken"

    def __init__(self, answer):
        self._answer = answer

    def scores(self, queries, documents):
        return self._answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([[0.5, float("nan")]], "gave nan for document 'd01' and query 'old'"),
        ([[0.5, 3.2]], "gave 3.2 for document 'd01' and query 'old'; .* between 0 and 1"),
        ([[-0.1, 0.2]], "gave -0.1 for document 'd00' and query 'old'"),
        ([[0.5]], "gave 1 scores for 2 documents of query 'old', from d00"),
        ([], "gave scores for 0 of 1 queries"),
    ],
)
def test_a_teacher_that_answers_wrongly_is_named(answer, said):
    with pytest.raises(RetrievalError, match=f"teacher broken {said}"):
        ask(Broken(answer), ["old"], [["d00", "d01"]])


def test_what_the_teacher_holds_for_an_answer_is_no_negative(index):
    high = {pair.document_id: 0.9 for pair in PAIRS} | {f"d{n:02}": 0.6 for n in range(1, 40, 3)}
    mining = mine(PAIRS, index, known={}, settings=settings(teacher_ratio=0.6), teacher=Said(high))
    found = list(mining)
    for one in found:
        assert one.scores.teacher == 0.9
        assert len(one.negatives) == 4
        kept = [n.scores.teacher for n in one.negatives if n.source != "random"]
        assert all(score <= 0.6 * 0.9 for score in kept)
    assert mining.account.dropped["teacher"] > 0


def test_the_teacher_is_asked_about_no_more_than_is_needed(index):
    said = Said(other=0.1)
    found = list(mine(PAIRS, index, known={}, settings=settings(teacher_ratio=1.0), teacher=said))
    assert len(said.asked) == len(PAIRS) * 5
    assert {n.scores.teacher for one in found for n in one.negatives} == {0.1}


def test_a_ratio_without_a_teacher_is_refused(index):
    with pytest.raises(RetrievalError, match="teacher_ratio needs a teacher"):
        mine(PAIRS, index, known={}, settings=settings(teacher_ratio=0.6))


def test_teaching_fills_every_score_and_changes_nothing_else(index):
    teacher = FusionTeacher(index)
    plain = list(mine(PAIRS, index, known={}, settings=settings()))
    taught = list(teach(iter(plain), teacher))
    assert taught == list(mine(PAIRS, index, known={}, settings=settings(), teacher=teacher))
    assert [one.pair for one in taught] == PAIRS
    assert all(
        scores.teacher is not None
        for one in taught
        for scores in (one.scores, *(negative.scores for negative in one.negatives))
    )
