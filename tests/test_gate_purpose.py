"""What a gate was fitted for: written into its file, and held to by a search."""

from __future__ import annotations

import json

import pytest

from llmaug.errors import PlanError, RetrievalError
from llmaug.retrieval.combine import mix, mugi_concat
from llmaug.retrieval.fuse import parse_fusion
from llmaug.retrieval.gate import always, collection, learned
from llmaug.retrieval.gate_file import write_pilot
from llmaug.retrieval.gate_fit import fit
from llmaug.retrieval.gate_pilot import pilot
from llmaug.retrieval.gate_purpose import purpose

pytest.importorskip("scipy", reason="needs the extra retrieval")

PLAIN = {f"q{n}": 0.5 for n in range(40)}
EXPANDED = {f"q{n}": n / 40 for n in range(40)}
FEATURES = {f"q{n}": {"top1": n / 40} for n in range(40)}
FOR = purpose("hybrid", None, depth=50, measure="nDCG@10")


@pytest.mark.parametrize("made_for", [None, FOR])
def test_a_gate_keeps_what_it_was_fitted_for(tmp_path, made_for):
    fitted = fit(FEATURES, PLAIN, EXPANDED, purpose=made_for).save(tmp_path / "gate.json")
    tried = pilot(PLAIN, EXPANDED, purpose=made_for).save(tmp_path / "pilot.json")
    assert fitted.purpose == tried.purpose == made_for
    assert learned(tmp_path / "gate.json").purpose == made_for
    assert collection(tmp_path / "pilot.json").purpose == made_for
    assert "purpose" not in json.loads((tmp_path / "pilot.json").read_text())["trained"]
    assert always().purpose is None


def test_only_what_a_search_uses_is_part_of_its_purpose():
    fusion = parse_fusion("convex(weight=0.3)")
    dense = purpose("dense", None, fusion=fusion, depth=50, measure="R@10")
    assert (dense.fusion, dense.depth, dense.combination) == (None, None, str(mix()))
    assert (FOR.fusion, FOR.depth) == (str(parse_fusion("rrf()")), 50)


@pytest.mark.parametrize(
    ("mode", "combine", "fusion", "says"),
    [
        ("dense", None, None, "fitted for the mode hybrid, and this search has dense;"),
        ("hybrid", mugi_concat(), None, "the combination four_way("),
        ("hybrid", None, "convex(weight=0.3)", "the fusion rrf("),
    ],
)
def test_another_search_is_refused_in_one_line(mode, combine, fusion, says):
    other = purpose(mode, combine, fusion=parse_fusion(fusion) if fusion else None)
    with pytest.raises(PlanError) as caught:
        FOR.check(other, gate="the gate g")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("measure", ["R@10", ""])
def test_the_same_search_is_let_through_whatever_the_measure(measure):
    assert FOR.check(purpose("hybrid", None, depth=9, measure=measure), gate="g") is None


@pytest.mark.parametrize(
    "content",
    ["dense", {}, FOR._asdict() | {"mode": 3}, FOR._asdict() | {"depth": True}, {"mode": "dense"}],
)
def test_a_file_with_another_purpose_is_no_gate(tmp_path, content):
    path = tmp_path / "pilot.json"
    write_pilot(path, expand=True, trained={})
    path.write_text(json.dumps(json.loads(path.read_text()) | {"for": content}))
    with pytest.raises(RetrievalError, match=r"is no collection gate: .*its for is"):
        collection(path)
