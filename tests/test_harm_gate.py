"""The gate: what it decides from numbers, and what it leaves on disk."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

import llmaug as la
from llmaug.errors import PlanError, RetrievalError
from llmaug.training.dev import DevSet
from llmaug.training.harm_gate import Decision, decide, run_gate
from llmaug.training.settings import GateSettings


def values(numbers):
    return {f"q{n:03}": float(number) for n, number in enumerate(numbers)}


def candidates(*shifts, queries=60, spread=0.1, seed=0):
    """A base and candidates that are better by these shifts, alike as interpolations are."""
    generator = np.random.default_rng(seed)
    base = generator.uniform(0.2, 0.8, queries)
    noise = generator.normal(0, spread, queries)
    noise -= noise.mean()
    return values(base), {
        (place + 1) / len(shifts): values(base + shift + noise * (place + 1) / len(shifts))
        for place, shift in enumerate(shifts)
    }


def decided(base, tried, **options):
    return decide(base, tried, settings=GateSettings(**options))


@pytest.mark.parametrize("correction", ["max_t", "holm"])
def test_the_best_of_those_that_are_better_goes_out(correction):
    base, tried = candidates(0.02, 0.06, 0.03, -0.05)
    decision = decided(base, tried, correction=correction)
    assert decision.weight == 0.5
    assert (
        "weight 0.5 is better than the base: nDCG@10 +0.0600 on 60 dev queries" in decision.reason
    )
    assert [row.weight for row in decision.candidates] == [0.25, 0.5, 0.75, 1.0]
    best = decision.candidates[1]
    assert best.difference == pytest.approx(0.06)
    assert best.mean == pytest.approx(decision.base + 0.06)
    assert best.low < 0.06 < best.high
    assert best.p <= best.corrected <= 0.05
    assert best.better + best.worse + best.equal == 60
    assert best.better > best.worse


@pytest.mark.parametrize("shifts", [(0.0, 0.002, 0.004), (-0.1, -0.2, -0.3), (0.0,)])
def test_the_base_is_kept_where_nothing_is_better_by_more_than_noise(shifts):
    decision = decided(*candidates(*shifts))
    assert decision.weight == 0
    assert "the base is kept: nothing is better by more than noise" in decision.reason


def test_a_candidate_that_is_worse_never_goes_out():
    assert decided(*candidates(-0.05, -0.01), alpha=0.999).weight == 0


def test_of_equal_candidates_the_one_nearest_to_the_base_goes_out():
    base, tried = candidates(0.1)
    same = tried[1.0]
    assert decided(base, {1.0: same, 0.5: same, 0.75: same}).weight == 0.5


def test_copies_of_the_base_change_nothing():
    base, _ = candidates(0.0)
    decision = decided(base, {0.5: base, 1.0: dict(base)})
    assert decision.weight == 0
    assert [(row.p, row.corrected, row.equal) for row in decision.candidates] == [(1, 1, 60)] * 2


@pytest.mark.parametrize(("queries", "weight"), [(19, 0), (20, 1)])
def test_few_queries_cannot_decide(queries, weight):
    decision = decided(*candidates(0.3, queries=queries))
    assert decision.weight == weight
    assert ("19 dev queries cannot decide, and at least 20" in decision.reason) == (weight == 0)
    assert decision.candidates[0].difference == pytest.approx(0.3)


@pytest.mark.parametrize(("trainings", "weight"), [(1, 1), (5, 0)])
def test_a_choice_among_trainings_by_the_same_queries_is_paid_for(trainings, weight):
    base, tried = candidates(0.03, spread=0.1, queries=40)
    assert 0.01 < decided(base, tried).candidates[0].corrected < 0.05
    decision = decide(base, tried, settings=GateSettings(), trainings=trainings)
    assert (decision.weight, decision.level) == (weight, 0.05 / trainings)
    assert ("at level 0.01 (0.05 for 5 trainings" in decision.reason) == (trainings == 5)
    assert Decision.recorded(json.loads(json.dumps(decision.record()))) == decision


def test_a_gain_below_what_can_be_shown_is_said_to_be_so():
    decision = decided(*candidates(0.01))
    assert decision.weight == 0
    assert decision.candidates[0].detectable > 0.01
    assert f"below {decision.candidates[0].detectable:.4f} would often be missed" in decision.reason


def test_one_query_is_reported_and_not_decided_by():
    decision = decided({"q": 0.1}, {1.0: {"q": 0.9}})
    assert decision.weight == 0
    assert decision.candidates[0].detectable == math.inf
    assert decision.record()["candidates"][0]["detectable"] is None


def test_the_order_of_queries_and_candidates_changes_nothing():
    base, tried = candidates(0.02, 0.03)
    turned = {weight: dict(reversed(of.items())) for weight, of in reversed(tried.items())}
    assert decided(dict(reversed(base.items())), turned) == decided(base, tried)


def test_a_model_that_is_no_better_seldom_goes_out():
    generator = np.random.default_rng(3)
    out = 0
    for _ in range(120):
        base, noise = generator.uniform(size=40), generator.normal(0, 0.2, 40)
        tried = {
            w: values(base + w * noise + generator.normal(0, 0.02, 40)) for w in (0.25, 0.5, 1)
        }
        out += decided(values(base), tried, alpha=0.1).weight > 0
    assert out <= stats.binom.ppf(0.9999, 120, 0.1)


def test_other_queries_are_refused():
    base, tried = candidates(0.1)
    del tried[1.0]["q007"]
    with pytest.raises(RetrievalError, match=r"candidate 1 .*only the base has 'q007'"):
        decided(base, tried)


def test_numbers_that_are_none_are_refused():
    base, tried = candidates(0.1)
    tried[1.0]["q007"] = math.nan
    with pytest.raises(RetrievalError, match="NaN or infinite"):
        decided(base, tried)
    for nothing in (({}, tried), (base, {})):
        with pytest.raises(RetrievalError, match="at least one candidate"):
            decided(*nothing)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"correction": "maxt"}, "did you mean max_t"),
        ({"weights": ()}, "above 0"),
        ({"weights": (0.0, 1.0)}, "above 0"),
        ({"weights": (1.5,)}, "above 0"),
        ({"weights": (0.5, 0.5)}, "twice"),
        ({"alpha": 0}, "alpha"),
        ({"fewest": 0}, "fewest"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, said):
    with pytest.raises(PlanError, match=said):
        GateSettings(**options)


def test_a_decision_is_shown_and_recorded_whole():
    decision = decided(*candidates(0.02, 0.06))
    shown = str(decision).splitlines()
    assert len(shown) == 5
    assert shown[-1] == decision.reason
    record = json.loads(json.dumps(decision.record(), allow_nan=False))
    assert record["gated"] is True
    assert record["settings"]["fewest"] == 20
    assert record["candidates"][1]["corrected"] == decision.candidates[1].corrected


WORDS = ("water", "kettle", "coffee", "machine", "vacuum", "dogs", "torch", "film", "book", "gene")


@pytest.fixture(scope="module")
def dev():
    documents = tuple((word, f"the {word} is good for the study of {word}") for word in WORDS)
    queries = {f"{word}{n}": f"{'what ' * n}{word}" for word in WORDS for n in (0, 1)}
    return DevSet(queries, {q: {q[:-1]: 1} for q in queries}, documents)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    pytest.importorskip("sentence_transformers", reason="needs the extra train")
    from tiny_retriever import tiny_retriever

    root = tmp_path_factory.mktemp("models")
    return tiny_retriever(root / "base", seed=0), tiny_retriever(root / "tuned", seed=1)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_base_comes_back_to_the_byte_where_nothing_is_better(models, dev, tmp_path):
    base, _ = models
    decision = run_gate(base, base, dev, settings=GateSettings(), folder=tmp_path / "gate")
    assert decision.weight == 0
    assert contents(tmp_path / "gate" / "model") == contents(base)
    written = {path.name for path in (tmp_path / "gate").iterdir()}
    assert written == {"model", "decision.json", "dev_values.json"}
    record = json.loads((tmp_path / "gate" / "decision.json").read_bytes())
    assert (record["weight"], record["queries"], record["dev_documents"]) == (0.0, 20, 10)


def test_a_better_model_goes_out_and_is_measured_once(models, dev, tmp_path):
    asked = []

    class Told:
        """Vectors that are random for the base, and the better the further a model is from it."""

        def __init__(self, folder):
            self.inner = la.embedder("fake")
            self.name, self.batch = str(folder), 64
            self.fingerprint = la.embedder(str(folder)).fingerprint
            self.share = {"base": 0.0, "tuned": 0.3}.get(folder.name, 1.0)
            asked.append(folder.name)

        def prompt(self, side):
            return ""

        def encode(self, texts, *, side=""):
            asked.append(side)
            noise = np.random.default_rng(len(texts)).normal(0, 0.1, (len(texts), 256))
            return (self.share * self.inner.encode(texts) + noise).astype(np.float32)

    options = {"settings": GateSettings(weights=(0.5, 1.0)), "folder": tmp_path, "embedder": Told}
    decision = run_gate(*models, dev, **options)
    assert decision.weight == 0.5
    assert asked.count("query") == 3
    assert not (tmp_path / "candidate").exists()
    tried = la.embedder(str(tmp_path / "model")).encode(["water"])
    ends = [la.embedder(str(model)).encode(["water"]) for model in models]
    assert all(not np.allclose(tried, end) for end in ends)
    assert run_gate(*models, dev, **options) == decision
    assert asked.count("query") == 3


def test_without_a_gate_the_tuned_model_goes_out_and_it_is_said(models, dev, tmp_path):
    decision = run_gate(*models, dev, settings=None, folder=tmp_path)
    assert decision.weight == 1
    assert "no gate was used" in str(decision)
    assert contents(tmp_path / "model") == contents(models[1])
    record = json.loads((tmp_path / "decision.json").read_bytes())
    assert record["gated"] is False
    assert record["candidates"] == []
