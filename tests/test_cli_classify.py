"""`llmaug classify train` and `llmaug classify evaluate`."""

from __future__ import annotations

import json
import re

import pytest
from tiny_classifier import LABELS, TEXTS, write_labelled, write_tiny_classifier
from typer.testing import CliRunner

from llmaug.cli.classify import app
from llmaug.errors import LlmaugError

pytest.importorskip("sklearn", reason="needs scikit-learn")


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def trained(*words):
    return run("train", "train.jsonl", "-o", "made", "--embedder", "fake", *words)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_labelled(tmp_path / "train.jsonl")
    return tmp_path


def test_train_says_what_it_learned_and_how_well():
    done = trained("--regularisation", 100, "--dev", "train.jsonl")
    assert done.exit_code == 0
    assert "8 texts of 2 classes: negative 4, positive 4" in done.output
    assert "cross-validated over 4 folds" in done.output
    assert "train.jsonl: 8 texts, accuracy 1.0000 [1.0000, 1.0000]" in done.output
    assert "written: made" in done.stderr


def test_evaluate_tells_every_file_and_class(here):
    trained("--regularisation", 100)
    write_labelled(here / "shift.jsonl", [*TEXTS, "an odd one"], [*LABELS, "\x1b[31mneutral"])
    done = run("evaluate", "made", "train.jsonl", "shift.jsonl", "--plot", "sure.svg")
    assert done.exit_code == 0
    assert "train.jsonl: 8 texts, accuracy 1.0000" in done.output
    assert "shift.jsonl: 9 texts, accuracy 0.8889" in done.output
    assert re.search(r"(posi|nega)tive +0\.8000 +1\.0000 +0\.8889 +4\n", done.output)
    assert "1 of 9 texts count as wrong" in done.output
    assert "\x1b" not in done.output
    assert (here / "sure.svg").read_text().startswith("<?xml")


def test_evaluate_as_json():
    trained()
    found = json.loads(run("evaluate", "made", "train.jsonl", "--json").stdout)
    assert found["classes"] == ["negative", "positive"]
    (file,) = found["files"]
    assert file["texts"] == 8
    assert file["unknown"] == []
    assert len(file["interval"]) == 2
    assert [one["class"] for one in file["by_class"]] == ["negative", "positive"]


def test_numbers_stay_numbers_and_a_table_means_the_same(here):
    numbers = [int(one == "positive") for one in LABELS]
    write_labelled(here / "train.jsonl", labels=numbers)
    trained("--regularisation", 100)
    assert json.loads((here / "made/classifier.json").read_bytes())["classes"] == [0, 1]
    rows = [f"{text},{label}\n" for text, label in zip(TEXTS, numbers, strict=True)]
    (here / "test.csv").write_text("body,class\n" + "".join(rows))
    done = run("evaluate", "made", "test.csv", "--text", "body", "--label", "class")
    assert "8 texts, accuracy 1.0000" in done.output
    assert "note" not in done.output


def test_a_class_of_a_single_text_is_not_cross_validated(here):
    write_labelled(here / "train.jsonl", TEXTS[:5], LABELS[:5])
    assert "no cross-validation: a class has a single text" in trained().output


def test_evaluate_reads_a_transformers_folder_and_names_its_classes(here):
    pytest.importorskip("transformers", reason="needs the extra transformers")
    write_tiny_classifier(here / "bert")
    assert "count as wrong" in run("evaluate", "bert", "train.jsonl").output
    done = run("evaluate", "bert", "train.jsonl", "--classes", "negative, positive")
    assert done.exit_code == 0
    assert "count as wrong" not in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "none.jsonl", "-o", "made"), "none.jsonl"),
        (("train", "bad.jsonl", "-o", "made"), r"bad.jsonl: row 2 \(id '2'\): the label True is"),
        (("train", "null.jsonl", "-o", "made"), "row 1 .*: the label in 'label' is empty"),
        (("train", "train.jsonl", "-o", "made", "--label", "lable"), "did you mean|no field"),
        (("train", "broken.jsonl", "-o", "made"), r"broken\.jsonl:2"),
        (("train", "one.jsonl", "-o", "made"), "one.jsonl: the labels are all 'positive'"),
        (("train", "train.jsonl", "-o", "."), "which would be lost"),
        (("train", "train.jsonl", "-o", "no/made"), "mkdir -p no"),
        (("train", "train.jsonl", "-o", "made", "--regularisation", "0"), "--regularisation"),
        (("train", "train.jsonl", "-o", "made", "--embedder", "minilmm"), "did you mean minilm"),
        (("evaluate", "made", "train.jsonl"), "there is no folder made"),
        (("evaluate", "made", "train.jsonl", "--plot", "x.jpg"), "is no picture"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(here, words, message):
    write_labelled(here / "bad.jsonl", TEXTS[:2], ["positive", True])
    write_labelled(here / "null.jsonl", TEXTS[:1], [None])
    write_labelled(here / "one.jsonl", TEXTS[:4], LABELS[:4])
    (here / "broken.jsonl").write_text('{"text": "a", "label": "b"}\n{"text": \n')
    done = run(*words)
    assert isinstance(done.exception, LlmaugError)
    assert "\n" not in str(done.exception)
    assert not (here / "made").exists()
    with pytest.raises(LlmaugError, match=message):
        raise done.exception


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_has_an_example(command):
    assert f"Example: llmaug classify {command}" in run(command, "--help").output.replace("`", "")
