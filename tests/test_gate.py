"""Gates: what they choose, how they print, files that are none."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import LlmaugError, PlanError, RetrievalError
from llmaug.retrieval.gate import always, collection, learned, never, parse_gate, threshold
from llmaug.retrieval.gate_file import write_learned, write_pilot
from llmaug.retrieval.gate_model import LinearModel, Weight
from llmaug.retrieval.predictors import FEATURES

FOUND = {
    "sure": {"top1": 0.9, "gap": 0.3},
    "unsure": {"top1": 0.3, "gap": 0.1},
    "middle": {"top1": 0.6, "gap": 0.2},
}
# The score is 1 - 2 top1: above 0 for cosines below a half.
MODEL = LinearModel("ridge", 0.0, (Weight("top1", 0.5, 0.5, -1.0, 0.2, 1.0),))
SAVED = {
    "format": "llmaug gate 1",
    "gate": "learned",
    "model": "ridge",
    "threshold": 0.0,
    "intercept": 0.0,
    "features": [
        {"name": "top1", "mean": 0.5, "scale": 0.5, "weight": -1, "low": 0.2, "high": 1.0}
    ],
}


def saved(folder, *, model=MODEL, threshold=0.0, name="gate.json"):
    write_learned(folder / name, model, threshold=threshold, trained={"queries": 40})
    return folder / name


@pytest.mark.parametrize(
    ("gate", "wanted"),
    [
        (always(), {"sure", "unsure", "middle"}),
        (never(), set()),
        (threshold(feature="top1", below=0.6), {"unsure"}),
        (threshold(feature="gap", above=0.1), {"sure", "middle"}),
    ],
    ids=str,
)
def test_a_gate_chooses_and_prints_as_it_parses(gate, wanted):
    assert {id for id, expand in gate.chosen(FOUND).items() if expand} == wanted
    assert list(gate.chosen(FOUND)) == list(FOUND)
    assert parse_gate(str(gate)) == gate
    assert parse_gate(str(gate)).fingerprint == gate.fingerprint
    assert gate.chosen({}) == gate.unseen({}) == {}


@given(st.sampled_from(sorted(FEATURES)), st.floats(-1e6, 1e6), st.booleans())
def test_every_threshold_parses_back(feature, value, below):
    gate = threshold(feature=feature, **{"below" if below else "above": value})
    assert parse_gate(str(gate)) == gate


@pytest.mark.parametrize(
    "form", ["learned({0!r})", "learned({0})", ' learned( "{0}" ) ', "learned(file={0!r})"]
)
def test_a_learned_gate_is_read_from_its_file(tmp_path, form):
    path = str(saved(tmp_path))
    gate = parse_gate(form.format(path))
    assert gate == learned(path)
    assert str(gate) == f"learned({path!r})"
    assert gate.needs == ("top1",)
    assert gate.chosen(FOUND) == {"sure": False, "unsure": True, "middle": False}


def test_a_query_unlike_those_in_training_is_not_expanded_and_told(tmp_path):
    gate = learned(saved(tmp_path))
    cosines = {"near": 0.13, "far": 0.11, "above": 1.2, "no number": math.nan, "endless": -math.inf}
    found = {id: {"top1": cosine} for id, cosine in cosines.items()}
    assert gate.chosen(found) == dict.fromkeys(cosines, False) | {"near": True}
    assert gate.unseen(found) == {id: ["top1"] for id in cosines if id != "near"}


def test_a_value_beyond_the_range_counts_as_the_nearest_that_was_seen(tmp_path):
    table = [[0.2], [0.13], [-5.0], [1.0], [2.0]]
    scores = MODEL.scores(table).tolist()
    assert scores[0] == scores[1] == scores[2]
    assert scores[3] == scores[4] == -1


@pytest.mark.parametrize(("value", "expand"), [(-math.inf, True), (math.inf, False)])
def test_the_ends_of_the_curve_are_kept_in_the_file(tmp_path, value, expand):
    path = saved(tmp_path, threshold=value)
    assert learned(path).chosen(FOUND) == dict.fromkeys(FOUND, expand)
    assert json.loads(path.read_text())["threshold"] in ("always", "never")


@given(st.permutations(sorted(FOUND)))
def test_the_order_of_the_queries_does_not_matter(order):
    gate = threshold(feature="top1", below=0.7)
    assert gate.chosen({id: FOUND[id] for id in order}) == gate.chosen(FOUND)


@pytest.mark.parametrize("expand", [True, False])
def test_a_collection_gate_decides_for_all_queries(tmp_path, expand):
    write_pilot(tmp_path / "pilot.json", expand=expand, trained={})
    gate = collection(tmp_path / "pilot.json")
    assert gate.chosen(FOUND) == dict.fromkeys(FOUND, expand)
    assert parse_gate(str(gate)) == gate == parse_gate(f"collection({tmp_path}/pilot.json)")
    assert gate.needs == ()


def test_the_fingerprint_follows_the_content_and_not_the_name(tmp_path):
    first, same = saved(tmp_path), saved(tmp_path, name="same.json")
    other = saved(tmp_path, name="other.json", threshold=0.1)
    prints = [learned(path).fingerprint for path in (first, same, other)]
    assert prints[0] == prints[1] != prints[2]
    assert all(len(print) == 12 for print in prints)


@pytest.mark.parametrize(("feature", "after"), [("top1", False), ("after_gain", True)])
def test_a_gate_says_whether_it_needs_the_expansions(feature, after):
    assert threshold(feature=feature, below=0.5).after is after
    assert always().after is False


def test_a_feature_that_the_index_does_not_give_is_named():
    with pytest.raises(
        RetrievalError, match=r"'sure' lacks the feature overlap .* takes bm25 and dense;"
    ):
        threshold(feature="overlap", below=0.5).chosen(FOUND)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("allways()", "unknown gate allways; did you mean always"),
        ("threshold(feature='top_1', below=1)", "no feature 'top_1'; did you mean top1"),
        ("threshold(feature=['top1'], below=1)", "feature must be a name"),
        ("threshold(feature='top1')", "give one of below and above"),
        ("threshold(feature='top1', below=1, above=2)", "give one of below and above"),
        ("threshold(feature='top1', below='x')", "'x' is not a finite number"),
        ("threshold(feature='top1', below=1e999)", "inf is not a finite number"),
        ("threshold(feature='top1', below=True)", "True is not a finite number"),
        ("learned", "learned takes the name of one file"),
        ("learned()", "learned takes the name of one file"),
        ("learned('a' 'b", "the gate does not parse"),
        ("learned('a' b)", "learned takes the name of one file"),
        ("learned(file=3)", "learned takes the name of one file"),
        ("collection(" + "x" * 2_000 + ")", "collection takes the name of one file"),
        ("learned('no such file.json')", "the gate no such file.json cannot be read (No such"),
        ("learned('\\x00')", "cannot be read"),
        ("__import__('os')", "unknown gate"),
    ],
)
def test_a_text_that_is_no_gate_is_refused_in_one_line(text, says):
    with pytest.raises(LlmaugError) as caught:
        parse_gate(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def feature(**changes):
    return {"features": [SAVED["features"][0] | changes]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "llmaug gate 2"}, "no field format with the value 'llmaug gate 1'"),
        ({"gate": "collection"}, "it is the gate of collection("),
        ({"threshold": "sometimes"}, "its threshold is 'sometimes'"),
        ({"threshold": None}, "its threshold is not a number"),
        ({"threshold": True}, "its threshold is not a number"),
        ({"model": 3}, "its model is not a string"),
        ({"intercept": 1e200}, "its intercept is not a number that a gate has"),
        ({"features": []}, "at least one feature"),
        ({"features": ["top1"]}, "not an object with a name"),
        ({"features": SAVED["features"] * 2}, "comes twice"),
        (feature(name="topp1"), "did you mean top1"),
        (feature(scale=0), "makes no sense"),
        (feature(low=2), "makes no sense"),
        (feature(weight="heavy"), "its weight is not a number"),
    ],
)
def test_a_file_that_is_no_gate_is_refused_in_one_line(tmp_path, change, says):
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(SAVED))
    assert learned(path).chosen(FOUND)["unsure"] is True
    path.write_text(json.dumps(SAVED | change))
    with pytest.raises(RetrievalError) as caught:
        learned(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path} is no learned gate: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", SAVED)
def test_a_file_that_lacks_a_field_is_refused(tmp_path, field):
    path = tmp_path / "gate.json"
    path.write_text(json.dumps({name: value for name, value in SAVED.items() if name != field}))
    with pytest.raises(RetrievalError, match=f"no field '?{field}"):
        learned(path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"{}" + b" " * 2**20, b"NaN"]
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "gate.json").write_bytes(content)
    for gate in (learned, collection):
        with pytest.raises(RetrievalError, match="is no"):
            gate(tmp_path / "gate.json")


def test_a_pilot_must_say_yes_or_no(tmp_path):
    path = tmp_path / "pilot.json"
    path.write_text(json.dumps({"format": "llmaug gate 1", "gate": "collection", "expand": "yes"}))
    with pytest.raises(RetrievalError, match="its expand is not true or false"):
        collection(path)
    with pytest.raises(PlanError, match="takes the name of one file"):
        collection()


def test_a_feature_that_was_the_same_in_training_does_not_refuse_other_values(tmp_path):
    constant = Weight("gap", 0.0, 1.0, 0.0, 0.0, 0.0)
    model = LinearModel("ridge", 0.0, (*MODEL.features, constant))
    gate = learned(saved(tmp_path, model=model))
    assert gate.chosen(FOUND) == learned(saved(tmp_path, name="without.json")).chosen(FOUND)
    assert gate.unseen(FOUND) == {}
