"""Fitting gates where the right answer is known, and where there is nothing to learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.errors import OutputError, RetrievalError
from llmaug.retrieval.gate import parse_gate
from llmaug.retrieval.gate_curve import choose, cost_curve, threshold_of
from llmaug.retrieval.gate_fit import fit
from llmaug.retrieval.gate_pilot import pilot

pytest.importorskip("scipy", reason="needs the extra retrieval")

NAMES = ("gap", "top1", "words")


def labelled(count=200, *, seed=0, decides=True):
    """Queries of which expansion helps those with a low top1 and harms the others, or any."""
    draw = np.random.default_rng(seed)
    features = {f"q{n}": dict(zip(NAMES, draw.random(3), strict=True)) for n in range(count)}
    luck = draw.random(count)
    plain = {id: float(draw.uniform(0.3, 0.6)) for id in features}
    worth = [of["top1"] if decides else luck[n] for n, of in enumerate(features.values())]
    gains = [0.3 * (0.5 - value) for value in worth]
    expanded = {id: plain[id] + gain for id, gain in zip(plain, gains, strict=True)}
    return features, plain, expanded


@pytest.mark.parametrize("model", ["ridge", "logistic"])
def test_a_feature_that_decides_is_found(model):
    fitted = fit(*labelled(), model=model, folds=5)
    assert fitted.gate.gain > 0.85 * fitted.oracle.gain
    assert fitted.gate.worse < 0.12 < 0.4 < fitted.always.worse
    assert fitted.gate.interval.low > 0
    heaviest = max(fitted.model.features, key=lambda feature: abs(feature.weight))
    assert heaviest.name == "top1"
    assert heaviest.weight < 0


@pytest.mark.parametrize(("model", "seed"), [("ridge", 0), ("ridge", 1), ("logistic", 0)])
def test_noise_gives_no_gain(model, seed):
    fitted = fit(*labelled(100, seed=seed, decides=False), model=model, folds=5)
    assert fitted.gate.interval.low < 0.003
    assert abs(fitted.gate.gain) < 0.3 * fitted.oracle.gain


def test_features_that_say_nothing_give_no_gain_to_queries_not_seen():
    names = ["words", "top1", "gap", "nqc", "spread", "overlap", "agreed", "clarity", "idf_max"]
    claimed, honest = [], []
    for seed in range(10):
        draw = np.random.default_rng(100 + seed)
        _, plain, expanded = labelled(60, seed=seed, decides=False)
        features = {id: dict(zip(names, draw.random(9), strict=True)) for id in plain}
        fitted = fit(features, plain, expanded)
        table = [[of[name] for name in fitted.model.names] for of in features.values()]
        values = [list(of.values()) for of in (plain, expanded)]
        claimed.append(choose(cost_curve(fitted.model.scores(table), *values)).gain)
        honest.append(fitted.gate.gain - fitted.gate.share * fitted.always.gain)  # over chance
    assert np.mean(claimed) > 0.01  # what a gate scored on the queries that it saw would claim
    assert abs(np.mean(honest)) < np.mean(claimed) / 5


def test_shuffled_labels_give_no_gain():
    features, plain, expanded = labelled()
    assert fit(features, plain, expanded).gate.gain > 0.02
    gains = [expanded[id] - plain[id] for id in plain]
    found = []
    for seed in range(5):
        np.random.default_rng(seed).shuffle(gains)
        shuffled = {id: plain[id] + gain for id, gain in zip(plain, gains, strict=True)}
        found.append(fit(features, plain, shuffled).gate.gain)
    assert abs(np.mean(found)) < 0.005


def test_no_query_has_a_part_in_its_own_decision():
    features, plain, expanded = labelled(60)
    honest = fit(features, plain, expanded)
    for id in ("q0", "q7", "q31"):
        changed = fit(features, plain, expanded | {id: plain[id] + 50.0})
        assert changed.scores[id] == honest.scores[id]
        assert changed.decisions[id] == honest.decisions[id]
        assert changed.scores != honest.scores


def test_rows_of_one_query_stay_together():
    features, plain, expanded = labelled(40, decides=False)
    copies = {f"{id}/{n}": id for id in plain for n in range(5)}
    rows = [{row: of[id] for row, id in copies.items()} for of in (features, plain, expanded)]
    draw = np.random.default_rng(0)  # every query known by its features, were it not for groups
    for row, of in rows[0].items():
        rows[0][row] = of | {"nqc": float(draw.random())}
    fitted = fit(*rows, groups=copies)
    for query in ("q0", "q9"):
        moved = {row: value + 50 * (copies[row] == query) for row, value in rows[2].items()}
        changed = fit(rows[0], rows[1], moved, groups=copies)
        mine = [row for row, id in copies.items() if id == query]
        assert [changed.scores[row] for row in mine] == [fitted.scores[row] for row in mine]
    eight = {row: str(number % 8) for number, row in enumerate(copies)}
    with pytest.raises(RetrievalError, match="at least 30 labelled queries, not 8"):
        fit(*rows, groups=eight)


@pytest.mark.parametrize("budget", [0.0, 0.1, 0.5, 1.0])
def test_the_budget_holds_on_the_queries_seen(tmp_path, budget):
    features, plain, expanded = labelled(120)
    fitted = fit(features, plain, expanded, budget=budget)
    chosen = fitted.save(tmp_path / "gate.json").chosen(features)
    assert sum(chosen.values()) <= budget * 120
    assert fitted.gate.share <= budget + 0.07
    assert budget != 0.1 or sum(chosen.values()) == 12


def test_a_limit_on_the_share_made_worse_is_kept_about():
    features, plain, expanded = labelled()
    strict = fit(features, plain, expanded, most_worse=0.01)
    assert strict.gate.worse <= 0.03
    assert strict.gate.share < fit(features, plain, expanded).gate.share


def test_neither_the_order_of_queries_nor_of_features_matters(tmp_path):
    features, plain, expanded = labelled(50)
    turned = {id: dict(reversed(of.items())) for id, of in reversed(features.items())}
    first = fit(features, plain, expanded)
    second = fit(turned, dict(reversed(plain.items())), dict(reversed(expanded.items())))
    assert first.decisions == second.decisions
    first.save(tmp_path / "first.json")
    second.save(tmp_path / "second.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def test_the_saved_gate_is_the_fitted_one(tmp_path):
    features, plain, expanded = labelled(50)
    fitted = fit(features, plain, expanded)
    gate = fitted.save(tmp_path / "gate.json")
    assert gate.learned.model == fitted.model
    assert gate.learned.threshold == fitted.threshold
    assert parse_gate(str(gate)) == gate
    with pytest.raises(OutputError, match=r"the folder .* does not exist"):
        fitted.save(tmp_path / "nowhere" / "gate.json")


def test_what_was_fitted_reads_as_a_table():
    features, plain, expanded = labelled(50)
    text = str(fit(features, plain, {id: expanded[id] + 0.1 for id in expanded}, budget=0.5))
    for word in ("cross-fitted", "never", "learned", "always", "oracle", "by chance", "top1"):
        assert word in text
    assert "nan" not in text


def test_an_expansion_that_only_harms_is_not_used():
    features, plain, expanded = labelled(60)
    fitted = fit(features, plain, {id: min(plain[id], expanded[id]) - 0.01 for id in plain})
    assert fitted.gate.share == fitted.oracle.share == 0
    assert "by chance" not in str(fitted)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_curves_are_drawn(tmp_path, suffix):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    fitted = fit(*labelled(50))
    fitted.plot(tmp_path / f"curve{suffix}")
    assert (tmp_path / f"curve{suffix}").stat().st_size > 1_000
    with pytest.raises(OutputError, match=r"did you mean \.png"):
        fitted.plot(tmp_path / "curve.npg")


SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=20)


@given(SCORES, st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60)
def test_every_point_of_a_curve_is_what_its_threshold_does(scores, seed, budget, most_worse):
    draw = np.random.default_rng(seed)
    plain, expanded = draw.integers(0, 3, (2, len(scores))) / 2
    curve = cost_curve(scores, plain, expanded)
    for point in curve:
        chosen = np.array(scores) > point.threshold
        gains = (expanded - plain) * chosen
        assert point.share == pytest.approx(chosen.mean())
        assert point.gain == pytest.approx(gains.mean())
        assert point.worse == pytest.approx((gains < 0).mean())
        assert point.better == pytest.approx((gains > 0).mean())
    assert (curve[0].share, curve[-1].share) == (0, 1)
    best = choose(curve, budget=budget, most_worse=most_worse)
    assert best.share <= budget + 1e-9
    assert best.worse <= most_worse + 1e-9
    assert (np.array(scores) > threshold_of(np.array(scores), budget)).mean() <= budget + 1e-9


def without(of, id):
    return {other: value for other, value in of.items() if other != id}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f, p, e: fit(f, p, without(e, "q3")), "query 'q3' was measured without expansion"),
        (lambda f, p, e: fit(f, without(p, "q3"), e), "query 'q3' was measured with expansion"),
        (lambda f, p, e: fit(*labelled(29)), "at least 30 labelled queries, not 29"),
        (lambda f, p, e: fit(without(f, "q3"), p, e), "query 'q3' is labelled and has no features"),
        (lambda f, p, e: fit(f, p, p), "expansion changes every query by the same amount"),
        (lambda f, p, e: fit({id: {"top1": 0.5} for id in f}, p, e), "no feature differs"),
        (lambda f, p, e: fit({id: {} for id in f}, p, e), "no feature differs"),
        (lambda f, p, e: fit(f, p, e | {"q3": float("nan")}), "not a finite number"),
        (lambda f, p, e: fit(f, p, e, use=["top_1"]), "no feature 'top_1'; did you mean top1"),
        (lambda f, p, e: fit(f, p, e, use=["overlap"]), "query 'q0' lacks the feature overlap"),
        (lambda f, p, e: fit(f, p, e, budget=50), "budget is a share of queries, from 0 to 1"),
        (lambda f, p, e: fit(f, p, e, most_worse=-0.1), "most_worse is a share of queries"),
        (lambda f, p, e: fit(f, p, e, folds=1), "at least 2 folds, not 1"),
        (lambda f, p, e: fit(f, p, e, model="rigde"), "no gate model 'rigde'; did you mean ridge"),
        (lambda f, p, e: pilot(p, without(e, "q3")), "query 'q3' was measured only once"),
        (lambda f, p, e: pilot({"q": 1.0}, {"q": 1.0}), "at least 30 labelled training queries"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_line(change, says):
    with pytest.raises(RetrievalError) as caught:
        change(*labelled(40))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("gain", [0.1, 0.0, -0.1])
def test_a_pilot_expands_a_collection_only_where_that_is_better(tmp_path, gain):
    plain = {f"q{n}": n / 40 for n in range(40)}
    found = pilot(plain, {id: value + gain for id, value in plain.items()})
    assert found.expand is (gain > 0)
    assert found.save(tmp_path / "pilot.json").chosen({"q": {}}) == {"q": gain > 0}
    assert ("do not" in str(found)) is (gain <= 0)
