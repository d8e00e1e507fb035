"""Test-time augmentation around any text classifier, with the manners of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmaug.classify.account import Account
from llmaug.classify.calibration import check_share
from llmaug.classify.classifiers import is_estimator
from llmaug.classify.deciding import Deciding, Decision
from llmaug.classify.explanation import Explanation
from llmaug.classify.fitting import check_choices, fit_policy
from llmaug.classify.given_texts import as_texts, looks_up_ids, together
from llmaug.classify.labels import Class, class_numbers, plain_label
from llmaug.classify.rewriter import Rewriter
from llmaug.classify.training_folds import held_out_of
from llmaug.errors import ClassifierError, MissingExtra
from llmaug.plan import Step
from llmaug.request import Backend, Classifier, Embedder, Retriever
from llmaug.text import Text
from llmaug.vocabulary import parse

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, clone
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise MissingExtra("scikit-learn", "classify") from None

if TYPE_CHECKING:
    from llmaug.classify.small import SmallClassifier


class TTAClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that has a language model rewrite a text where its own decision is open.

    `classifier` is a function from a list of texts to probabilities (n, classes), a scikit-learn
    estimator or pipeline (one that is not fitted is trained by `fit`), a folder, or a `Classifier`.
    `plan` makes the rewrites; the text itself, or what `normalise` made of it, counts too. `lm` and
    `judge` are backends or their specs. `classes` names the columns of a function; without it they
    are the labels that `fit` sees, sorted. `outputs` is "logits" where it gives those.

    - `gate` says how open a decision is: settled, entropy, margin, max_probability or learned.
      `fit` sets the threshold.
    - `adaptive`: rewrites are asked for one at a time, until the chance that those left change the
      decision is small (`llmaug.classify.settled` states the rule).
    - `normalise`: a text whose decision is open is first freed of noise (`normalise()`), and
      rewritten only if it is open still.
    - `aggregation`: mean, logits, vote, entropy or learned (`llmaug.classify.aggregation`). With
      an `embedder` a learned one also weighs how like the text its rewrites are.

    Texts are strings or `Text`s, which keep their ids (for `stored`) and fields. A text whose
    rewriting fails or of which no rewrite is left is decided as it is, and counted. After
    O'Brien et al. 2024, LLM-TTA (arXiv 2402.08225).

    After `fit`: `classes_`, `policy_`, `report_` (with the curve of the gate), `classifier_`;
    after `predict`: `account_` (calls, drops, failures).
    """

    def __init__(
        self,
        classifier: Any,
        plan: str | Step = "keep() + paraphrase(n=4)",
        lm: str | Backend | None = None,
        *,
        judge: str | Backend | None = None,
        embedder: Embedder | None = None,
        index: Retriever | None = None,
        aggregation: str = "mean",
        gate: str = "settled",
        normalise: bool = False,
        adaptive: bool = True,
        classes: Sequence[Class] | None = None,
        outputs: str = "probabilities",
        cache: str | Path | None = None,
        seed: int = 0,
        window: int | None = None,
    ) -> None:
        self.classifier, self.plan, self.lm, self.judge = classifier, plan, lm, judge
        self.embedder, self.index = embedder, index
        self.aggregation, self.gate = aggregation, gate
        self.normalise, self.adaptive = normalise, adaptive
        self.classes, self.outputs = classes, outputs
        self.cache, self.seed, self.window = cache, seed, window

    def __getstate__(self) -> dict[str, Any]:
        # Replies of another object's temporary folder are gone when that object is.
        state = dict(super().__getstate__())
        state.pop("rewriter_", None)
        return state

    def __sklearn_clone__(self) -> TTAClassifier:
        # Models and caches are shared: a copy of a loaded language model is of no use.
        parameters = self.get_params(deep=False)
        if is_estimator(self.classifier):
            parameters["classifier"] = clone(self.classifier)
        return type(self)(**parameters)

    def fit(
        self,
        texts: Iterable[str | Text],
        labels: Iterable[Class],
        *,
        budget: float | None = None,
        max_id_loss: float | None = None,
    ) -> TTAClassifier:
        """Set the gate on labelled texts that the classifier was not trained on.

        `budget` is the largest share of all possible rewrites that may be asked for (0 to 1), on
        texts like these; on others the classifier may be less sure, and more is asked. With
        `adaptive` that share is expected, not counted, where these are not rewritten: a language
        model that turns many decisions over costs more. With `max_id_loss` the accuracy on these
        texts stays within that of the classifier alone (0.0 is no loss). Of the thresholds within
        both, the one that asks for most is taken; without either, rewrites stop at a chance of 1 %
        that they change a decision, and a gate other than "settled" lets every text through.

        The texts are rewritten, which costs calls, only with `max_id_loss` or where something is
        learned. A scikit-learn estimator that is not fitted is trained on these texts, and the
        gate is set on its cross-validated answers. Raises `ClassifierError`.
        """
        check_choices(self.aggregation, self.gate, outputs=self.outputs)
        check_share("budget", budget)
        check_share("max_id_loss", max_id_loss)
        rewrites = max_id_loss is not None or "learned" in (self.gate, self.aggregation)
        given = as_texts(texts, with_ids=rewrites and looks_up_ids(parse(self.plan)))
        answers = [plain_label(label) for label in labels]
        if len(answers) != len(given):
            raise ClassifierError(f"{len(given):,} texts and {len(answers):,} labels")
        if len(set(answers)) < 2:
            seen = f"are all {answers[0]!r}" if answers else "are missing"
            raise ClassifierError(
                f"the labels {seen}; a gate is set on texts of two or more classes"
            )
        found, held_out = held_out_of(
            self.classifier,
            given,
            answers,
            classes=self.classes,
            outputs=self.outputs,
            seed=self.seed,
        )
        self.use(found)
        self.report_ = fit_policy(
            held_out,
            given,
            truth=np.array(class_numbers(answers, self.classifier_.classes)),
            rewriter=self.rewriter_,
            gate=self.gate,
            aggregation=self.aggregation,
            adaptive=self.adaptive,
            normalise=self.normalise,
            budget=budget,
            max_id_loss=max_id_loss,
            seed=self.seed,
        )
        self.policy_ = self.report_.policy
        return self

    def predict(self, texts: Iterable[str | Text]) -> np.ndarray:
        """(n,): the class of each text."""
        chances = self.predict_proba(texts)
        return np.asarray(self.classes_[chances.argmax(axis=1)])

    def predict_proba(self, texts: Iterable[str | Text]) -> np.ndarray:
        """(n, classes): the probabilities of the classes of each text, in the order `classes_`."""
        found = [decision.probabilities for decision in self.decide(texts)]
        return np.array(found).reshape(len(found), len(self.classes_))

    def decide(
        self,
        texts: Iterable[str | Text],
        *,
        progress: Callable[[Account], None] = lambda account: None,
    ) -> Iterator[Decision]:
        """The decisions with all that led to them, in order, while later ones are being made."""
        check_is_fitted(self, "policy_")
        if not hasattr(self, "rewriter_"):
            self.use(self.classifier_)  # a copy has none of its own yet
        rewriter = self.rewriter_
        deciding = Deciding(
            self.classifier_, rewriter, policy=self.policy_, normalise=self.normalise
        )
        self.account_ = account = Account()
        before = rewriter.calls
        for some in together(texts, with_ids=looks_up_ids(rewriter.plan)):
            decisions = deciding.decide(some)
            account.noticed.update(deciding.noticed)
            for decision in decisions:
                account.add(decision, self.policy_.size)
                account.calls = rewriter.calls - before
                yield decision
            progress(account)

    def explain(self, text: str | Text) -> Explanation:
        """How the decision on one text came about: variants, what was dropped and why, calls."""
        (decision,) = self.decide([text])
        return Explanation(decision, self.classifier_.classes, self.policy_, self.account_.calls)

    def distil(
        self,
        texts: Iterable[str | Text],
        *,
        embedder: Embedder,
        regularisation: float = 1.0,
    ) -> SmallClassifier:
        """The small classifier, trained on the answers to unlabelled texts as soft labels.

        So that what rewriting gains costs nothing later (Hinton et al. 2015, arXiv 1503.02531).
        """
        from llmaug.classify.distillation import distil

        return distil(self, texts, embedder=embedder, regularisation=regularisation)

    def save(self, path: str | Path) -> None:
        """Write gate, weights and report as JSON, whole or not at all; no model is in it."""
        from llmaug.classify.tta_file import write

        check_is_fitted(self, "policy_")
        write(Path(path), self)

    @classmethod
    def load(cls, path: str | Path, classifier: Any, **models: Any) -> TTAClassifier:
        """What `save` wrote, ready to predict, with the classifier that it was fitted with.

        `models` are lm, judge, embedder, index, cache and window. Raises `ClassifierError` for a
        file that is none and for another classifier.
        """
        from llmaug.classify.tta_file import read

        return read(Path(path), classifier, models)

    def use(self, found: Classifier) -> None:
        """Take a classifier, and be ready to ask for rewrites."""
        self.classifier_ = found
        self.classes_ = np.array(found.classes)
        self.rewriter_ = Rewriter(
            parse(self.plan),
            {"lm": self.lm, "judge": self.judge},
            embedder=self.embedder,
            index=self.index,
            classifier=self.classifier_,
            cache=self.cache,
            seed=self.seed,
            window=self.window,
        )
