"""Test-time augmentation with a small language model that runs here: whatever it shows."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import llmaug as la
from benchmarks.tta_settings import Setting
from llmaug.significance import bootstrap_interval, mcnemar

SEEDS = 100
PLANS = (
    "paraphrase(n=4, max_tokens=64)",
    "paraphrase(n=4, max_tokens=64) >> length(min_ratio=0.5, max_ratio=2.0) >> entities_kept()",
)


def report(setting: Setting, replies: Path) -> None:
    """100 seeds, every fourth, SmolLM2-135M through the transformers backend."""
    rows = np.arange(0, len(setting.texts), len(setting.texts) // SEEDS)[:SEEDS]
    texts, labels = [setting.texts[i] for i in rows], setting.labels[rows]
    plain = setting.right(setting.plain)[rows].astype(float)
    lm = la.backend("transformers:smollm2-135m")
    held_out, truth = setting.held_out
    print(f"plain {100 * plain.mean():.1f} on {len(rows)} seeds")
    for plan in PLANS:
        for budget in (1.0, 0.4):
            began = time.monotonic()
            tta = la.TTAClassifier(
                setting.classifier, f"keep() + ({plan})", lm, cache=replies, seed=0
            ).fit(held_out, truth, budget=budget)
            right = (tta.predict(texts) == labels).astype(float)
            low, high = bootstrap_interval(right - plain)
            print(
                f"{plan}, budget {budget:.0%}: {100 * right.mean():.1f} "
                f"({100 * low:+.1f} to {100 * high:+.1f}), p {mcnemar(right, plain):.3f}; "
                f"{tta.account_}; {time.monotonic() - began:.0f} s",
                flush=True,
            )
    print(tta.explain(texts[0]))
