"""The main job with the two real models, as `make demo` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

import llmaug as la
from llmaug.notation import plan_file

TESTS = Path(__file__).parent
REVIEWS = TESTS.parent / "llmaug" / "demo" / "reviews.jsonl"

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]


def test_reviews_are_paraphrased_by_a_real_model(tmp_path: Path) -> None:
    plan = la.parse(plan_file(TESTS / "main_job.plan") + " >> similar(min=0.4)")
    job = la.Job(
        plan,
        la.read(REVIEWS),
        tmp_path / "out.jsonl",
        {"lm": la.backend("transformers:smollm2-135m", batch_size=8)},
        limit=8,
        embedder=la.embedder("minilm"),
    )
    summary = la.augment_file(job)
    assert str(summary) == "8 rows in = 8 done + 0 failed"
    texts = list(la.read(tmp_path / "out.jsonl"))
    variants = [text for text in texts if text.meta["made_by"]]
    assert len(texts) - len(variants) == 8
    assert variants
    originals = {text.text for text in la.read(REVIEWS)}
    for variant in variants:
        assert variant.text not in originals
        assert 0.4 <= variant.meta["similarity"] <= 1.0
        assert variant.meta["label"] in ("positive", "negative")
        assert len(variant.text.split()) >= 3
