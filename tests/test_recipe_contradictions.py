"""Recipes whose keys contradict each other: refused in one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmaug.errors import PlanError
from llmaug.training.recipe_file import read_recipe

BARE = "corpus: corpus\nmodel: minilm\n"
HUMAN = BARE + "human: true\n"
SYNTHETIC = BARE + "generate: {plan: doc2query(n=2), lm: 'fake:'}\n"
BOTH = HUMAN + "generate: {plan: doc2query(n=2), lm: 'fake:'}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BARE, ": there are no queries to train on"),
        (BARE + "generate: {lm: x}\n", ":3: generate: give either plan and lm, or pairs"),
        (
            BARE + "generate: {plan: keep(), pairs: x}\n",
            ":3: generate: give either plan and lm, or pairs, and not both",
        ),
        (BARE + "generate: {pairs: x, lm: y}\n", "only test_documents goes with them"),
        (BARE + "generate:\n  plan: doc2query()\n", ":3: generate: lm is missing"),
        (BARE + "generate:\n  lm: x\n  plan: docquery()\n", ":5: .*unknown step .*doc2query"),
        (BARE + "generate: {plan: keep(), lm_options: {key: s}}\n", "from the environment only"),
        (BARE + "generate: {plan: keep(), base_url: 'http://a:b@c'}\n", "from the environment"),
        (
            BARE + "generate: {plan: doc2query() + negative_passage(), lm: x}\n",
            ":3: generate: plan has negative_passage, .* leave it out",
        ),
        (
            BARE + "generate:\n  plan: doc2query() + passage_rewrite()\n  lm: x\n",
            ":4: generate: plan has passage_rewrite, which writes passages",
        ),
        (HUMAN + "seed: -1\n", ":4: seed is -1; it is a whole number from 0"),
        (BARE + "human: yes please\n", ":3: human is 'yes please'; it takes a mapping, true or"),
        (BARE + "human: [train]\n", ":3: human is a list; it takes a mapping, true or false"),
        (BARE + "generate: {plan: keep(), documents: 0}\n", "documents must be at least 1, not 0"),
        (HUMAN + "filter: {near: 0.9}\n", ":4: filter works on synthetic queries"),
        (SYNTHETIC + "filter: {near: 0}\n", ":4: filter: near is a cosine"),
        (SYNTHETIC + "filter: {quantile: 1.0}\n", "quantile is a share"),
        (SYNTHETIC + "filter: {quantile: 0.2}\n", ":4: quantile .* which rerank_first gives"),
        (SYNTHETIC + "filter: {plan: judge()}\n", ":4: .*judge.*, which needs the judge"),
        (SYNTHETIC + "filter: {plan: paraphrase()}\n", "needs the lm.*put it into generate.plan"),
        (SYNTHETIC + "filter: {plan: rerank_first('no')}\n", ":4: filter: plan is wrong: no is"),
        (BARE + "generate: {plan: doc2query() >> judge(), lm: x}\n", "needs the judge"),
        (SYNTHETIC + "filter: {plan: nothing()}\n", "unknown step"),
        (SYNTHETIC + "filter: {leakage_ngram: 8}\n", ":4: leakage is towards test queries"),
        (HUMAN + "saturation: [0.5]\n", ":4: saturation is of synthetic queries"),
        (SYNTHETIC + "saturation: [0.5, 0.25]\n", "rising shares"),
        (SYNTHETIC + "saturation: [0.5, 1.5]\n", "rising shares"),
        (SYNTHETIC + "dev: false\ngate: false\nsaturation: [1]\n", ":4: the saturation decides"),
        (HUMAN + "dev: false\n", ":4: the gate decides by dev queries.*or set gate: false"),
        (BOTH + "dev: false\ngate: false\ntrain: {ratio: [1, 2]}\n", ":5: a list of ratios"),
        (HUMAN + "dev: {share: 1.0}\n", ":4: dev: share is above 0 and below 1"),
        (HUMAN + "dev: {share: 0.1, count: 3}\n", ":4: dev: give one of split, share and count"),
        (HUMAN + "dev: {of: synthetic}\n", ":4: dev is of synthetic queries"),
        (HUMAN + "dev: {of: humans}\n", ":4: dev: of is 'humans'; did you mean human"),
        (SYNTHETIC + "dev: {of: human}\n", ":4: dev is of human queries, and there are none"),
        (SYNTHETIC + "dev: {split: dev, of: human}\n", "of does not go with split"),
        (HUMAN + "dev: {split: train}\n", ":4: dev and human are both the split 'train'"),
        (HUMAN + "test: true\ndev: {split: test}\n", ":5: dev and test are both the split"),
        (HUMAN + "train: {ratio: 1}\n", ":4: ratio .* there is no generate"),
        (SYNTHETIC + "train: {ratio: [1, 2]}\n", ":4: ratio .* there are no human pairs"),
        (BOTH + "train:\n  ratio: [1, 1]\n", "each different"),
        (BOTH + "train:\n  ratio: [1, x]\n", ":6: an entry of train.ratio is 'x', not a number"),
        (HUMAN + "train: {loss: {distil: 0.5}}\n", ":4: loss.distil needs a teacher"),
        (HUMAN + "train: {loss: {margin_mse: 1}}\n", "loss.margin_mse needs a teacher"),
        (HUMAN + "train: {loss: {mask_ratio: 0.9}}\n", "loss.mask_ratio needs a teacher"),
        (HUMAN + "mine: {teacher_ratio: 0.9}\n", ":4: teacher_ratio needs a teacher"),
        (HUMAN + "mine: {dense_weight: 2}\n", ":4: mine: dense_weight is a share from 0 to 1"),
        (BARE + "human: {leaks: drop}\n", ":3: leaks and test_documents are about a test"),
        (HUMAN + "evaluate: {measures: [R@5]}\n", ":4: evaluate needs test queries"),
        (HUMAN + "test: true\nindex: false\n", ":5: test is measured by searching an index"),
        (HUMAN + "test: true\nevaluate: {measures: [nDGC@10]}\n", ":5: .*did you mean nDCG"),
    ],
)
def test_contradictions(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=message) as raised:
        read_recipe(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
