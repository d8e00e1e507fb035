"""A tiny classifier and the files that `llmaug tta` is tried on, for tests."""

from __future__ import annotations

import json
from pathlib import Path

from tiny_classifier import LABELS, TEXTS, write_labelled
from typer.testing import CliRunner

from llmaug.cli.tta import app

MADE = ("--classifier", "made")
FAKE = ("--lm", "fake:")
SHIFTED = ["a good bad film", "bad but good", "the end", "film", "good", "bad", "good bad", "one"]
KNOWN = ["positive", "negative"] * 4
STORED = "keep() + stored('stored.jsonl', n=2)"


def write_tta_files(folder: Path) -> None:
    """Make `made` (a classifier), dev.jsonl (labelled), texts.jsonl and stored.jsonl."""
    from llmaug.classify.small import train
    from llmaug.embedders.embed import embedder

    train(TEXTS, LABELS, embedder=embedder("fake"), regularisation=10.0).save(folder / "made")
    write_labelled(folder / "dev.jsonl", TEXTS + SHIFTED, LABELS + KNOWN)
    with (folder / "texts.jsonl").open("w") as lines:
        for number, text in enumerate(SHIFTED):
            lines.write(json.dumps({"id": f"t{number}", "text": text}) + "\n")
    with (folder / "stored.jsonl").open("w") as lines:
        for number in range(1, 17):
            lines.write(json.dumps({"id": number, "variants": ["good", "a good one"]}) + "\n")


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def fitted(*words):
    """Fit tta.json."""
    done = run("fit", "dev.jsonl", *MADE, "--budget", "0.8", "-o", "tta.json", *words)
    assert done.exit_code == 0, done.exception
    return done
