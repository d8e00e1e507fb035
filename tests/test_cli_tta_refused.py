"""What `llmaug tta` refuses: each mistake in one line, and nothing written."""

from __future__ import annotations

import pytest
import typer
from tiny_classifier import LABELS, TEXTS, write_labelled
from tta_files import FAKE, MADE, fitted, run, write_tta_files

from llmaug.cli.tta_inputs import interruptible
from llmaug.errors import LlmaugError

pytest.importorskip("sklearn", reason="needs scikit-learn")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tta_files(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "dev.jsonl", *MADE, "--budget", "1.5"), "--budget is a share from 0 to 1"),
        (("fit", "dev.jsonl", *MADE, "--gate", "entropi"), "did you mean entropy"),
        (("fit", "dev.jsonl", *MADE, "--aggregation", "meen"), "did you mean mean"),
        (("fit", "dev.jsonl", *MADE, "--max-id-loss", "0"), "needs a language model .*--lm"),
        (("fit", "dev.jsonl", *MADE, "--gate", "learned"), "needs a language model .*--lm"),
        (("fit", "dev.jsonl", "--classifier", "none"), "there is no folder none"),
        (("fit", "dev.jsonl", *MADE, "--plot", "x.gif"), "is no picture"),
        (("fit", "dev.jsonl", *MADE, "--plan", "keep()"), "0 rewrites"),
        (("fit", "one.jsonl", *MADE), "one.jsonl: the labels are all 'positive'"),
        (("fit", "empty.jsonl", *MADE), "holds no texts"),
        (("predict", "tta.json", "texts.jsonl", *MADE), "needs a language model .*--lm"),
        (("predict", "tta.json", "empty.jsonl", *MADE, *FAKE), "holds no texts"),
        (("predict", "tta.json", "texts.jsonl", "--classifier", "other", *FAKE), "fitted with"),
        (("predict", "texts.jsonl", "texts.jsonl", *MADE, *FAKE), "not written by llmaug tta fit"),
        (("predict", "none.json", "texts.jsonl", *MADE, *FAKE), "none.json cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(here, words, message):
    from llmaug.classify.small import train
    from llmaug.embedders.embed import embedder

    fitted()
    train(TEXTS[::-1], LABELS, embedder=embedder("fake")).save(here / "other")
    write_labelled(here / "one.jsonl", TEXTS[:4], LABELS[:4])
    (here / "empty.jsonl").touch()
    before = set(here.iterdir())
    for output, problem in (("out.jsonl", message), ("no/out.jsonl", "mkdir -p no|" + message)):
        done = run(*words, "-o", output)
        assert isinstance(done.exception, LlmaugError)
        assert "\n" not in str(done.exception)
        with pytest.raises(LlmaugError, match=problem):
            raise done.exception
    assert set(here.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [(("-o", "texts.jsonl"), "is also read"), (("-o", "out.txt"), "written as .jsonl"), ((), "-o")],
)
def test_predict_refuses_outputs_that_lose_something(here, words, message):
    fitted()
    with pytest.raises(LlmaugError, match=message):
        raise run("predict", "tta.json", "texts.jsonl", *MADE, *FAKE, *words).exception


@pytest.mark.parametrize("command", ["fit", "predict", "evaluate"])
def test_help_has_an_example(command):
    assert f"Example: llmaug tta {command}" in run(command, "--help").output.replace("`", "")


def test_an_interruption_says_how_to_go_on(here, capsys):
    with pytest.raises(typer.Exit) as ended, interruptible(here / "replies.sqlite"):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert "replies.sqlite: run the same command again" in capsys.readouterr().err
