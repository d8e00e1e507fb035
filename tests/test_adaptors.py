"""An embedder evaluated by MTEB, an index searched in a pipeline of PyTerrier.

Both packages are in the extra `test`; what needs them is skipped where they are not installed.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import llmaug as la
from llmaug.errors import MissingExtra, ModelError, TextError
from llmaug.retrieval.mteb import MtebEncoder, model_name, side_of, texts_of
from llmaug.retrieval.pyterrier import LlmaugRetriever, hits, query_texts

pd = pytest.importorskip("pandas", reason="PyTerrier's frames are pandas'")
needs_mteb = pytest.mark.skipif(find_spec("mteb") is None, reason="needs the extra mteb")
needs_pyterrier = pytest.mark.skipif(
    find_spec("pyterrier") is None, reason="needs the extra pyterrier"
)
# PyTerrier changes frames in place, which pandas 3.1 deprecates.
pandas_deprecations = pytest.mark.filterwarnings("ignore:The inplace keyword")

TEXTS = {
    "d1": "the kettle boils a litre of water in two minutes",
    "d2": "the left earcup of the headphones died after nine days",
    "d3": "water leaks from the bottom of the coffee machine",
}
RANKINGS = {"0": {"d1": 2.0, "d3": 1.5}, "1": {}, "2": {"d2": 0.5}}


class Sided:
    """An embedder that remembers what it was asked."""

    name, fingerprint, parameters, batch = "some/folder/sided", "0123456789ab", {}, 2

    def __init__(self):
        self.asked, self.words = [], la.embedder("fake")

    def prompt(self, side):
        return "query: " if side == "query" else ""

    def encode(self, texts, *, side=""):
        self.asked.append((side, list(texts)))
        return self.words.encode(list(texts))


def queries(*rows):
    return pd.DataFrame(rows, columns=["qid", "query", "query_0"])


THREE = queries(["q1", "water", "w"], ["q2", "zebra", "z"], ["q3", "earcup", "e"])


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    pytest.importorskip("bm25s", reason="needs the extra retrieval")
    documents = [la.Text(text, id, id) for id, text in TEXTS.items()]
    return la.Index.build(documents, tmp_path_factory.mktemp("index") / "index", embedder=None)


@pytest.mark.parametrize(
    ("package", "adaptor"), [("mteb", "MtebEncoder"), ("pyterrier", "LlmaugRetriever")]
)
def test_a_missing_package_is_named_with_its_extra(package, adaptor, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"llmaug.retrieval.{package}")
    module = importlib.import_module(f"llmaug.retrieval.{package}")
    with pytest.raises(MissingExtra, match=rf"^{package} is not installed.*'llmaug\[{package}\]'$"):
        getattr(module, adaptor)("fake")


def test_the_text_of_a_batch_is_the_whole_document():
    batch = {"id": ["1"], "title": ["Kettle"], "body": ["boils"], "text": ["Kettle boils"]}
    assert texts_of([batch, {"text": ["a", "b"]}]) == ["Kettle boils", "a", "b"]
    with pytest.raises(ModelError, match="MTEB gave id, image"):
        texts_of([{"id": ["1"], "image": [None]}])


@pytest.mark.parametrize(
    ("name", "filed"),
    [("minilm", "llmaug/minilm"), ("/home/me/models/mine/", "llmaug/mine"), ("a/b", "llmaug/b")],
)
def test_results_are_filed_without_the_path_of_a_folder(name, filed):
    assert model_name(name) == filed


def test_a_text_without_a_prompt_type_has_no_side():
    assert [side_of(kind) for kind in (None, "query", "document")] == ["", "query", "document"]


@needs_mteb
def test_mteb_texts_are_encoded_in_order_and_by_their_side():
    embedder = Sided()
    batches = [{"text": ["a", "b", "c"]}, {"text": ["d", "e"]}]
    vectors = MtebEncoder(embedder).encode(batches, prompt_type="query", hf_split="test")
    assert embedder.asked == [("query", ["a", "b"]), ("query", ["c", "d"]), ("query", ["e"])]
    assert np.array_equal(vectors, embedder.encode(["a", "b", "c", "d", "e"]))
    assert MtebEncoder(embedder).encode([]).shape == (0, vectors.shape[1])
    with pytest.raises(ModelError, match="int8"):
        MtebEncoder(embedder).encode(batches, precision="int8")


@needs_mteb
def test_mteb_knows_the_model_and_its_similarity():
    encoder = MtebEncoder(Sided())
    meta = encoder.mteb_model_meta
    assert (meta.name, meta.revision) == ("llmaug/sided", "0123456789ab")
    assert meta.use_instructions
    vectors = encoder.encode([{"text": ["a", "b"]}])
    assert np.allclose(encoder.similarity(vectors, vectors), np.eye(2))
    assert np.allclose(encoder.similarity_pairwise(vectors, vectors), 1)


@needs_mteb
@pytest.mark.filterwarnings("ignore")  # MTEB's own and those of what it imports
def test_mteb_evaluates_a_retrieval_task(tmp_path):
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    corpus = [{"id": id, "title": "Found", "text": text} for id, text in TEXTS.items()]
    unknown = (
        "reference date domains task_subtypes license annotations_creators dialect "
        "sample_creation bibtex_citation"
    )

    class Household(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Household",
            description="three documents",
            dataset={"path": "nowhere/household", "revision": "1"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
            **dict.fromkeys(unknown.split()),
        )

        def load_data(self, **ignored):
            self.data_loaded = True
            queries = Dataset.from_list([{"id": "q", "text": "water in the kettle"}])
            test = {
                "corpus": Dataset.from_list(corpus),
                "queries": queries,
                "relevant_docs": {"q": {"d1": 1}},
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": test}}

    embedder = Sided()
    cache = mteb.ResultCache(tmp_path)
    result = mteb.evaluate(MtebEncoder(embedder), [Household()], cache=cache)
    assert result.task_results[0].get_score() == 1
    assert ("document", [f"Found {TEXTS['d3']}"]) in embedder.asked
    assert ("query", ["water in the kettle"]) in embedder.asked


def test_hits_are_one_row_per_query_and_document():
    frame = hits(THREE, RANKINGS)
    assert frame.to_dict("list") == {
        "qid": ["q1", "q1", "q3"],
        "query": ["water", "water", "earcup"],
        "query_0": ["w", "w", "e"],
        "docno": ["d1", "d3", "d2"],
        "score": [2.0, 1.5, 0.5],
        "rank": [0, 1, 0],
    }
    assert list(frame.index) == [0, 1, 2]


def test_hits_of_no_query_have_all_columns_and_replace_older_ones():
    frame = hits(THREE.iloc[:0].assign(score=1.0), {})
    assert [*frame.columns] == ["qid", "query", "query_0", "docno", "score", "rank"]
    assert len(frame) == 0


@pytest.mark.parametrize("wrong", [None, 3, float("nan")])
def test_a_query_that_is_no_text_is_named(wrong):
    with pytest.raises(TextError, match=r"^the query of qid 'q1' is .*, not a text$"):
        query_texts(queries(["q1", wrong, ""]))


@needs_pyterrier
@pandas_deprecations
def test_a_retriever_works_with_the_operators_of_pyterrier(index):
    import pyterrier as pt

    retriever = LlmaugRetriever(index.folder, k=2)
    found = retriever(THREE)
    assert sorted(zip(found["qid"], found["docno"], strict=True)) == [
        ("q1", "d1"),
        ("q1", "d3"),
        ("q3", "d2"),
    ]
    assert found.groupby("qid")["rank"].apply(list).to_dict() == {"q1": [0, 1], "q3": [0]}
    assert (retriever % 1)(THREE)["qid"].tolist() == ["q1", "q3"]
    assert (retriever + retriever)(THREE)["score"].sum() == pytest.approx(2 * found["score"].sum())
    assert len((retriever | retriever)(THREE)) == len(found)
    assert pt.inspect.transformer_outputs(retriever, ["qid", "query"])[-3:] == [
        "docno",
        "score",
        "rank",
    ]
    assert retriever.search("earcup")["docno"].tolist() == ["d2"]


@needs_pyterrier
@pandas_deprecations
def test_pyterrier_evaluates_a_retriever(index):
    import pyterrier as pt

    judged = pd.DataFrame([["q1", "d1", 1], ["q3", "d2", 1]], columns=["qid", "docno", "label"])
    asked = queries(["q1", "water kettle", ""], ["q3", "earcup", ""])
    retriever = LlmaugRetriever(index)
    table = pt.Experiment([retriever], asked, judged, ["map"], names=["llmaug"])
    assert table["map"].tolist() == [1.0]


@needs_pyterrier
@pytest.mark.parametrize("columns", [["qid", "text"], ["qid", "query", "docno"]])
def test_a_frame_that_holds_no_queries_is_refused(index, columns):
    import pyterrier as pt

    with pytest.raises(pt.validate.InputValidationError, match=r"query|docno"):
        LlmaugRetriever(index)(pd.DataFrame([["1"] * len(columns)], columns=columns))
