"""Fitting a policy for test-time augmentation on labelled texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify import learned_weights, openness
from llmaug.classify.aggregation import check_kind as check_aggregation
from llmaug.classify.calibration import (
    Part,
    Point,
    Tried,
    choose,
    curve,
    default_threshold,
)
from llmaug.classify.deciding import Recorder
from llmaug.classify.policy import Policy
from llmaug.classify.probabilities import check_outputs
from llmaug.classify.rewriter import Rewriter
from llmaug.classify.settled import Spread, spread_between_texts, spread_of
from llmaug.classify.usable import without_noise
from llmaug.classify.votes import Votes
from llmaug.errors import ClassifierError
from llmaug.plan import walk
from llmaug.request import Classifier
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5
LEAST_TEXTS = 10  # to learn weights or a gate from


class HeldOut(NamedTuple):
    """Rows of texts, and a classifier that was not trained on them."""

    rows: np.ndarray
    classifier: Classifier


@dataclass(frozen=True)
class Fitted:
    """A policy, the point of the curve that was chosen, and the curve.

    `plain` is the accuracy of the classifier alone on these texts. `rewritten` says whether they
    were rewritten, so that calls and accuracies of the curve are counted, not expected. `failed`
    texts were not, as their rewriting failed.
    """

    policy: Policy
    chosen: Point
    curve: list[Point]
    plain: float
    texts: int
    rewritten: bool
    failed: int = 0

    def __str__(self) -> str:
        opened = self.chosen.mistakes
        mistakes = "" if math.isnan(opened) else f" and {opened:.0%} of the classifier's mistakes"
        how = "counted on" if self.rewritten else "expected from"
        said = (
            f"gate {self.policy.gate} at {self.policy.threshold:.4g}: opens "
            f"{self.chosen.texts:.0%} of texts{mistakes}, and asks for {self.chosen.calls:.0%} "
            f"of all rewrites ({how} {self.texts:,} texts)"
        )
        if self.rewritten:
            said += f"; accuracy {self.chosen.accuracy:.4f}, without rewrites {self.plain:.4f}"
        if self.failed:
            said += f"; the rewriting of {self.failed:,} of them failed"
        return said


def check_choices(aggregation: str, gate: str, *, outputs: str) -> None:
    """Raise for an unknown aggregation or gate, or an unknown kind of a classifier's outputs."""
    check_aggregation(aggregation)
    openness.check_kind(gate)
    check_outputs(outputs)


def fit_policy(
    held_out: Sequence[HeldOut],
    texts: Sequence[Text],
    *,
    truth: np.ndarray,
    rewriter: Rewriter,
    gate: str,
    aggregation: str,
    adaptive: bool,
    normalise: bool,
    budget: float | None,
    max_id_loss: float | None,
    seed: int,
) -> Fitted:
    """The policy for texts with these class numbers.

    The texts are rewritten where something is learned from it: weights, a learned gate, or a loss
    to bound. What is learned is cross-fitted, so that no accuracy of the curve is of texts that
    were learned from; the policy returned learns from all.
    """
    import numpy as np

    learns = aggregation == "learned" or gate == "learned"
    if learns and len(truth) < LEAST_TEXTS:
        raise ClassifierError(
            f"{len(truth)} texts are too few to learn from; give at least {LEAST_TEXTS}, or "
            "choose another gate and aggregation"
        )
    raw = _classified(held_out, texts)
    read = [replace(text, text=without_noise(text.text)) for text in texts] if normalise else texts
    votes, failed = Votes.of(_classified(held_out, read) if normalise else raw), 0
    rewritten = learns or max_id_loss is not None
    if rewritten and len(held_out) > 1 and any("classifier" in s.uses for s in walk(rewriter.plan)):
        raise ClassifierError(
            f"{rewriter.plan} asks the classifier, which is trained on these very texts; train it "
            "first and fit on other texts"
        )
    if rewritten:
        failures = _rewrite(votes, held_out, read, rewriter=rewriter)
        failed = len(failures)
        if failed and not votes.seen().any():
            raise ClassifierError(f"no text could be rewritten; the first: {failures[0]}")
    policy = Policy(
        rewriter.size,
        _spread(votes),
        gate=gate,
        aggregation=aggregation,
        adaptive=adaptive,
    )
    written = [text.text for text in read]
    sources = len(rewriter.sources)
    final = _learned(policy, votes, written, truth=truth, sources=sources, seed=seed)
    parts = [Part(np.arange(len(truth)), final)]
    if learns:
        parts = _cross_fitted(policy, votes, written, truth=truth, sources=sources, seed=seed)
    tried = Tried(votes, raw, [text.text for text in texts], written, truth, rewritten, seed)
    points = curve(parts, tried)
    plain = float((raw.argmax(axis=1) == truth).mean())
    if budget is None and max_id_loss is None:
        threshold = default_threshold(gate)
        chosen = next(point for point in points if point.threshold == threshold)
    else:
        chosen = choose(points, plain=plain, budget=budget, max_id_loss=max_id_loss)
    decided = final.at(chosen.threshold)
    if budget is not None and budget >= 1 and max_id_loss is None:
        # Nothing is spared, so no decision is too sure.
        parts = [part._replace(policy=replace(part.policy, stop=0.0)) for part in parts]
        chosen = curve(parts, tried)[-1]
        decided = replace(final, stop=0.0).at(chosen.threshold)
    return Fitted(decided, chosen, points, plain, len(truth), rewritten, failed)


def _classified(held_out: Sequence[HeldOut], texts: Sequence[Text]) -> np.ndarray:
    """(n, classes): each text by a classifier that was not trained on it."""
    import numpy as np

    found = np.zeros((len(texts), len(held_out[0].classifier.classes)))
    for rows, classifier in held_out:
        found[rows] = classifier.probabilities([texts[row].text for row in rows])
    return found


def _rewrite(
    votes: Votes, held_out: Sequence[HeldOut], texts: Sequence[Text], *, rewriter: Rewriter
) -> list[str]:
    """Add all rewrites of all texts to the votes; why some texts have none."""
    import numpy as np

    of_row = {int(row): part.classifier for part in held_out for row in part.rows}

    def classify(rows: np.ndarray, written: list[str]) -> np.ndarray:
        found = np.zeros((len(written), votes.original.shape[1]))
        for part in held_out:
            here = [at for at, row in enumerate(rows.tolist()) if of_row[row] is part.classifier]
            if here:
                found[here] = part.classifier.probabilities([written[at] for at in here])
        return found

    recorder = Recorder(
        held_out[0].classifier, rewriter, texts=texts, votes=votes, classify=classify
    )
    there = np.array([row for row, text in enumerate(texts) if text.text.strip()], dtype=int)
    for number in range(1, rewriter.size + 1):
        there = np.setdiff1d(there, recorder.more(there, number))
    return list(recorder.failures.values())


def _spread(votes: Votes) -> Spread:
    """As the rewrites show it, or as the texts themselves where there are none."""
    if (votes.seen().sum(axis=1) >= 2).any():
        return spread_of(votes.original, votes.variants)
    return spread_between_texts(votes.original)


def _learned(
    policy: Policy,
    votes: Votes,
    texts: Sequence[str],
    *,
    truth: np.ndarray,
    sources: int,
    seed: int,
) -> Policy:
    """The policy with what it learns from these texts."""
    if policy.aggregation == "learned":
        weights = learned_weights.learn(votes, truth, sources=sources, seed=seed)
        policy = replace(policy, weights=weights)
    if policy.gate == "learned":
        everything = policy.answer(votes).argmax(axis=1) == truth
        gains = everything.astype(float) - (votes.original.argmax(axis=1) == truth)
        policy = replace(policy, model=openness.learn(votes.original, texts, gains))
    return policy


def _cross_fitted(
    policy: Policy,
    votes: Votes,
    texts: Sequence[str],
    *,
    truth: np.ndarray,
    sources: int,
    seed: int,
) -> list[Part]:
    import numpy as np

    folds = np.random.default_rng(seed).permutation(len(truth)) % FOLDS
    parts = []
    for fold in range(FOLDS):
        train = np.flatnonzero(folds != fold)
        there = _learned(
            policy,
            votes.of_rows(train),
            [texts[row] for row in train.tolist()],
            truth=truth[train],
            sources=sources,
            seed=seed,
        )
        parts.append(Part(np.flatnonzero(folds == fold), there))
    return parts
