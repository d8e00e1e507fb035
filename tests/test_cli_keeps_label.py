"""`llmaug augment --classifier`: filters that ask a classifier, from the shell."""

from __future__ import annotations

import json

import pytest
from tiny_classifier import LABELS, TEXTS, write_labelled
from typer.testing import CliRunner

from llmaug.cli import app
from llmaug.errors import LlmaugError, PlanError, ResumeRefused

pytest.importorskip("sklearn", reason="needs scikit-learn")

PLAN = "keep() + paraphrase(n=2) >> keeps_label(min=0.6)"


def augment(*words):
    return CliRunner().invoke(
        app, ["augment", PLAN, "texts.jsonl", "-o", "out.jsonl", "--lm", "fake:", *words]
    )


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    from llmaug.classify.small import train
    from llmaug.embedders.embed import embedder

    monkeypatch.chdir(tmp_path)
    write_labelled(tmp_path / "texts.jsonl")
    for name, texts in (("made", TEXTS), ("other", TEXTS[::-1])):
        train(texts, LABELS, embedder=embedder("fake"), regularisation=100.0).save(tmp_path / name)
    return tmp_path


def test_variants_keep_the_label_of_their_root(here):
    done = augment("--classifier", "made")
    assert done.exit_code == 0, done.exception
    rows = [json.loads(line) for line in (here / "out.jsonl").read_text().splitlines()]
    assert sum(not row["made_by"] for row in rows) == 8
    assert all(row["label_probability"] >= 0.6 for row in rows if row["made_by"])


def test_a_run_does_not_go_on_with_another_classifier():
    augment("--classifier", "made")
    for words in (("--classifier", "other"), ()):
        with pytest.raises(ResumeRefused, match="begun with another classifier"):
            raise augment(*words).exception
    assert augment("--classifier", "made").exit_code == 0


def test_a_dry_run_names_the_classifier_and_sends_nothing(here):
    done = augment("--classifier", "made", "--dry-run")
    assert "classifier: made@" in done.stdout
    assert "requests: 16" in done.stdout
    assert not (here / "out.jsonl").exists()


def test_a_missing_classifier_is_one_line(here):
    with pytest.raises(PlanError, match="needs a classifier; give one with --classifier"):
        raise augment().exception
    for words in (("--classifier", "none"), ("--classifier", "none", "--dry-run")):
        with pytest.raises(LlmaugError, match="there is no folder none"):
            raise augment(*words).exception
    assert not (here / "out.jsonl").exists()
