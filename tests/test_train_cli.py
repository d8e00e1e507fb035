"""`llmaug train` as a person uses it, with wrong arguments too."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recipe_corpus import FAKE, HUMAN, recipe_folder, written
from typer.testing import CliRunner, Result

from llmaug.cli import app
from llmaug.testing import MisbehavingServer

pytest.importorskip("sentence_transformers")
STAGES = ["base", "filter", "mine", "train", "gate", "index", "evaluate", "model"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


def asked(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def told(result: Result) -> list[str]:
    """The lines that stages said."""
    assert result.exit_code == 0, result.output
    return [line for line in result.stderr.splitlines() if not re.match(r"[\d.]+ s; ", line)]


def test_a_recipe_from_start_to_end_and_again(folder: Path, tmp_path: Path) -> None:
    recipe = written(folder, HUMAN)
    first = asked(recipe, "-o", tmp_path / "out")
    said = [line.partition(":")[0] for line in told(first) if ":" in line]
    assert [name for name in dict.fromkeys(said) if name in STAGES] == STAGES
    assert f"the model in {tmp_path}/out/model" in first.stderr
    assert first.stdout == ""
    again = asked(recipe, "-o", tmp_path / "out")
    work = "gate: dev nDCG"  # said only where something is measured
    assert told(again) == [line for line in told(first) if not line.startswith(work)]
    assert re.search(r"^[\d.]+ s; artefacts in ", again.stderr, re.MULTILINE)


def test_a_dry_run_says_what_it_would_do_and_does_nothing(folder: Path, tmp_path: Path) -> None:
    text = HUMAN + FAKE + "saturation: [0.5, 1.0]\ntrain: {ratio: [0, 1]}\n"
    result = asked(written(folder, text), "-o", tmp_path / "out", "--dry-run")
    assert result.exit_code == 0, result.output
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    stages = ["base", "generate", "filter", "mine", "train", "saturation", "gate", "index"]
    assert list(lines) == [*stages, "evaluate", "model"]
    assert "52 human queries of train" in lines["filter"]
    assert "once for each ratio of 0, 1" in lines["train"]
    assert not (tmp_path / "out").exists()


def test_options_reach_the_stages(folder: Path, tmp_path: Path) -> None:
    recipe, out = written(folder, HUMAN), tmp_path / "out"
    assert "model" not in told(asked(recipe, "-o", out, "--until", "train"))[-1]
    assert not (out / "gate").exists()
    ungated = told(asked(recipe, "-o", out, "--no-gate"))
    assert any("no gate" in line.lower() for line in ungated)
    gated = asked(recipe, "-o", out)
    assert gated.exit_code == 1 or gated.exit_code == 2
    assert "use --fresh-from gate" in str(gated.exception)
    assert told(asked(recipe, "-o", out, "--fresh-from", "gate"))
    assert told(asked(recipe, "-o", out, "--fresh", "--until", "base"))
    assert not (out / "model").exists()


def test_leakage_is_allowed_by_its_option(folder: Path, tmp_path: Path) -> None:
    recipe = written(folder, "human: {split: test}\ntest: true\ndev: {split: dev}\n")
    refused = asked(recipe, "-o", tmp_path / "out")
    assert "24 of 24 training queries are too close" in str(refused.exception)
    allowed = asked(recipe, "-o", tmp_path / "out", "--allow-leakage", "--until", "filter")
    assert "24 human and 0 synthetic pairs" in told(allowed)[-1]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "human: true\nmine: {negativs: 2}\n",
            [],
            r"r\.yaml:\d+: unknown key 'negativs' .*negatives",
        ),
        ("human: true\ndev: false\n", [], r"r\.yaml:\d+: the gate decides by dev queries"),
        ("human: true\n", ["--until", "tran"], "no stage 'tran'; did you mean train"),
        ("human: true\n", ["-o", "no/such/out"], "the folder .*no/such does not exist"),
        ("human: {split: tain}\n", [], "no split 'tain'; did you mean train"),
        ("human: true\nmine: {teacher: ./none}\n", ["--dry-run"], "none is not a model's folder"),
        (
            FAKE + "filter: {plan: 'length(max_ratio=0.001)'}\n",
            [],
            r"left after the filters \(leng",
        ),
    ],
)
def test_mistakes_are_one_line(
    folder: Path, tmp_path: Path, text: str, options: list[str], message: str
) -> None:
    recipe = written(folder, text)
    given = options if "-o" in options else [*options, "-o", str(tmp_path / "out")]
    result = asked(recipe, *given)
    assert result.exit_code != 0
    assert re.search(message, str(result.exception)), result.exception
    assert "\n" not in str(result.exception)


def test_ctrl_c_is_a_line_and_the_same_command_goes_on(folder: Path, tmp_path: Path) -> None:
    with MisbehavingServer(latency=0.1).in_thread() as server:
        text = (
            "generate: {plan: 'doc2query(n=1)', lm: 'chat:test-model', window: 4, "
            f"base_url: '{server.url}'}}\noutput: {tmp_path}/out\n"
        )
        recipe = written(folder, text, name="interrupted.yaml")
        running = subprocess.Popen(
            [sys.executable, "-c", "from llmaug.cli import main; main()", "train", str(recipe)],
            stderr=subprocess.PIPE,
            text=True,
        )
        while server.answered < 12:
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
        assert running.returncode == 130, said
        assert "interrupted; the same command goes on with what" in said
        assert "Traceback" not in said
        before = server.requests
        server.troubles.latency = 0
        assert re.search(r"generate: \d+ queries", told(asked(recipe, "--until", "generate"))[-1])
        assert server.requests <= 100 + 4
        assert server.requests - before < 100 - 8


def test_an_error_is_a_line_and_the_exit_code_two(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from llmaug.cli import main; main()", "train", "nothing.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "llmaug: nothing.yaml cannot be read: No such file or directory\n"
    assert ended.stdout == ""
