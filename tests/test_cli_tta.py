"""`llmaug tta fit`, `predict` and `evaluate`."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
from tiny_classifier import write_labelled
from tta_files import FAKE, MADE, SHIFTED, STORED, fitted, run, write_tta_files

from llmaug.errors import LlmaugError

pytest.importorskip("sklearn", reason="needs scikit-learn")


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tta_files(tmp_path)
    return tmp_path


def test_fit_for_a_budget_needs_no_language_model(here):
    done = fitted("--plot", "curve.svg")
    assert "0 calls of the language model" in done.stderr
    assert "expected from 16 texts" in done.stdout
    assert "> " in done.stdout  # the chosen point
    assert json.loads((here / "tta.json").read_bytes())["plan"] == "keep() + paraphrase(n=4)"
    drawn = (here / "curve.svg").read_text()
    assert drawn.startswith("<?xml")
    assert {path.name for path in here.glob("*tta*")} == {"tta.json"}


def test_fit_without_a_loss_rewrites_once_for_every_gate(here):
    first = fitted(*FAKE, "--max-id-loss", "0.5", "--plot", "curve.png")
    calls = sum(1 for line in first.stderr.splitlines() if line == "64 calls of the language model")
    assert calls == 1
    assert "counted on 16 texts" in first.stdout
    assert "accuracy" in first.stdout
    assert (here / "curve.png").read_bytes().startswith(b"\x89PNG")
    again = fitted(*FAKE, "--max-id-loss", "0.5", "--gate", "learned", "--plot", "curve.png")
    assert "\n0 calls of the language model" in again.stderr


def test_fit_takes_a_plan_from_a_file_and_ids_for_stored_rewrites(here):
    (here / "my.plan").write_text(STORED)
    fitted("--plan", "@my.plan", "--aggregation", "learned", "--gate", "entropy")
    about = json.loads((here / "tta.json").read_bytes())
    assert about["plan"] == STORED
    assert about["fitted"]["rewritten"] is True


def test_every_text_gets_a_row(here):
    fitted()
    done = run("predict", "tta.json", "texts.jsonl", *MADE, *FAKE, "-o", "out.jsonl")
    assert done.exit_code == 0, done.exception
    rows = rows_of(here / "out.jsonl")
    assert [row["id"] for row in rows] == [f"t{number}" for number in range(8)]
    assert [row["text"] for row in rows] == SHIFTED
    for row in rows:
        assert set(row["probabilities"]) == {"negative", "positive"}
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
        assert row["opened"] == (row["asked"] > 0)
        assert "failure" not in row
    assert any(row["opened"] for row in rows)
    assert "8 rows in = 8 rows out + 0 failures" in done.stderr
    assert not (here / "out.jsonl.failures.jsonl").exists()


def test_replies_are_kept_and_never_paid_for_twice(here):
    fitted()
    words = ("predict", "tta.json", "texts.jsonl", *MADE, *FAKE, "-o")
    first = run(*words, "out.jsonl")
    assert "replies are kept in out.jsonl.replies.sqlite" in first.stderr
    written = (here / "out.jsonl").read_bytes()
    again = run(*words, "out.jsonl")
    assert ", 0 calls of the language model" not in first.stderr
    assert ", 0 calls of the language model" in again.stderr
    assert (here / "out.jsonl").read_bytes() == written
    elsewhere = run(*words, "-", "--cache", "out.jsonl.replies.sqlite")
    assert ", 0 calls of the language model" in elsewhere.stderr
    assert elsewhere.stdout_bytes == written


def test_a_table_holds_the_same(here):
    fitted()
    run("predict", "tta.json", "texts.jsonl", *MADE, *FAKE, "-o", "out.jsonl")
    run("predict", "tta.json", "texts.jsonl", *MADE, *FAKE, "-o", "out.csv")
    with (here / "out.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    for cells, row in zip(table, rows_of(here / "out.jsonl"), strict=True):
        assert json.loads(cells["probabilities"]) == row["probabilities"]
        assert (cells["label"], cells["asked"]) == (row["label"], str(row["asked"]))


def test_rows_that_cannot_be_read_are_listed(here):
    fitted()
    with (here / "texts.jsonl").open("a") as more:
        more.write('{"id": "t0", "text": "twice"}\n{"id": "empty", "text": " "}\n')
    done = run("predict", "tta.json", "texts.jsonl", *MADE, *FAKE, "-o", "out.jsonl")
    assert done.exit_code == 1
    assert "10 rows in = 8 rows out + 2 failures" in done.stderr
    listed = rows_of(here / "out.jsonl.failures.jsonl")
    assert [(row["root"], row["line"]) for row in listed] == [("t0", 9), ("empty", 10)]
    shown = run("predict", "tta.json", "texts.jsonl", *MADE, *FAKE, "-o", "-")
    assert shown.exit_code == 1
    assert "cannot be read: texts.jsonl:9: the id 't0' is also that of line 1" in shown.stderr


def test_a_text_whose_rewriting_fails_is_decided_as_it_is(here):
    fitted()
    (here / "nothing.jsonl").write_text("")
    words = ("--lm", "replay:nothing.jsonl", "-o", "out.jsonl")
    command = [sys.executable, "-c", "from llmaug.cli.tta import app; app()", "predict"]
    done = subprocess.run(  # a process of its own, which closes the recording at its end
        [*command, "tta.json", "texts.jsonl", *MADE, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "8 rows in = 8 rows out + 0 failures" in done.stderr
    opened = [row for row in rows_of(here / "out.jsonl") if row["opened"]]
    assert opened
    for row in opened:
        assert "RequestRefused" in row["failure"]
        assert row["fell_back"]
        assert row["label"] == row["plain_label"]


def test_explain_shows_one_decision(here):
    fitted()
    words = ("predict", "tta.json", "texts.jsonl", *MADE, *FAKE)
    done = run(*words, "--explain", "t2")
    assert done.exit_code == 0, done.exception
    assert "the text: the end" in done.stdout
    assert "the answer, by mean" in done.stdout
    with pytest.raises(LlmaugError, match="--explain t22: there is no such text; did you mean t2"):
        raise run(*words, "--explain", "t22").exception


def test_evaluate_compares_before_and_after(here):
    fitted("--plan", STORED)
    write_labelled(here / "odd.jsonl", ["good", "bad"], ["\x1b[31mneutral", "negative"])
    done = run("evaluate", "tta.json", "dev.jsonl", "odd.jsonl", *MADE, "--plot", "sure.svg")
    assert done.exit_code == 0, done.exception
    assert "dev.jsonl: 16 texts" in done.stdout
    assert done.stdout.count("McNemar p") == done.stdout.count("by Holm over 2 files") == 2
    assert "1 of 2 texts count as wrong" in done.stdout
    assert "\x1b" not in done.stdout
    assert (here / "sure.svg").read_text().startswith("<?xml")


def test_evaluate_as_json():
    fitted("--plan", STORED)
    found = json.loads(run("evaluate", "tta.json", "dev.jsonl", *MADE, "--json").stdout)
    (file,) = found["files"]
    gained = file["after"]["accuracy"] - file["before"]["accuracy"]
    assert (file["fixed"] - file["broken"]) / 16 == pytest.approx(gained)
    assert file["difference"]["interval"][0] <= gained <= file["difference"]["interval"][1]
    assert file["account"]["asked"] > 0
    assert file["holm"] == file["mcnemar"]


def test_drawing_every_gate_asks_for_nothing_again_also_where_replies_are_cut_off():
    import llmaug as la
    from llmaug.backends.counted import Counted
    from llmaug.classify.gate_curves import gate_curves
    from llmaug.classify.remembered import RememberedModel

    cut = Counted(la.FakeBackend(lambda request: la.Reply("a good", "length", 1, 1)))
    texts = [la.Text(text, str(number), str(number)) for number, text in enumerate(SHIFTED)]
    labels = ["positive", "negative"] * 4
    found = la.TTAClassifier("made", "paraphrase(n=2)", RememberedModel(cut))
    found.fit(texts, labels, max_id_loss=1.0)
    assert cut.calls == 16
    assert {"settled", "entropy"} <= set(gate_curves(found, texts, labels))
    assert cut.calls == 16
