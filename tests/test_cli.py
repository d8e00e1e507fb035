"""The command line as a person uses it, with wrong arguments too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def llmaug(
    *arguments: str, cwd: Path, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from llmaug.cli import main; main()", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    (tmp_path / "reviews.csv").write_text(
        "id,body,label\na,the film was a mess,neg\nb,a warm and funny story,pos\n"
    )
    return tmp_path


def test_augment_writes_the_account_and_the_output(reviews: Path) -> None:
    done = llmaug(
        "augment",
        "keep() + paraphrase(n=2) >> dedupe()",
        "reviews.csv",
        "--text",
        "body",
        "-o",
        "out.jsonl",
        "--lm",
        "fake:",
        cwd=reviews,
    )
    assert done.returncode == 0, done.stderr
    assert "2 rows in = 2 done + 0 failed" in done.stderr
    assert "4 calls" in done.stderr
    rows = [json.loads(line) for line in (reviews / "out.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["neg"] * 3 + ["pos"] * 3


def test_a_plan_may_stand_in_a_file(reviews: Path) -> None:
    (reviews / "my.plan").write_text("# two versions\nkeep()\n+ edit('case')\n  >> dedupe()\n")
    done = llmaug(
        "augment", "@my.plan", "reviews.csv", "--text", "body", "-o", "o.jsonl", cwd=reviews
    )
    assert done.returncode == 0, done.stderr
    manifest = json.loads((reviews / "o.jsonl.run" / "manifest.json").read_text())
    assert manifest["asked"]["plan"] == "keep() + edit('case') >> dedupe()"


def test_a_failed_row_is_status_one_and_is_named(reviews: Path) -> None:
    with (reviews / "reviews.csv").open("a") as more:
        more.write("a,twice,pos\n")
    done = llmaug("augment", "keep()", "reviews.csv", "--text", "body", "-o", "o.csv", cwd=reviews)
    assert done.returncode == 1
    assert "3 rows in = 2 done + 1 failed" in done.stderr
    assert "o.csv.run/failures.jsonl" in done.stderr


def test_standard_input_and_output(reviews: Path) -> None:
    done = llmaug(
        "augment",
        "keep() + edit('case')",
        "-",
        "-o",
        "-",
        cwd=reviews,
        stdin="one text\nanother text\n",
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["root"] for line in done.stdout.splitlines()] == ["1", "1", "2", "2"]
    done = llmaug(
        "augment", "keep()", "-", "-o", "-", cwd=reviews, stdin='{"text": "x", "id": "q"}\n'
    )
    assert json.loads(done.stdout)["id"] == "q"


def test_a_dry_run_sends_and_writes_nothing(reviews: Path) -> None:
    done = llmaug(
        "augment",
        "paraphrase(n=3) >> similar(min=0.5)",
        "reviews.csv",
        "--text",
        "body",
        "-o",
        "out.jsonl",
        "--lm",
        "chat:none",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--dry-run",
        cwd=reviews,
    )
    assert done.returncode == 0, done.stderr
    assert "the film was a mess" in done.stdout
    assert "requests: 6" in done.stdout
    assert "nothing was sent" in done.stdout
    assert sorted(path.name for path in reviews.iterdir()) == ["reviews.csv"]


FAKE = ("--lm", "fake:")
AUGMENT = ("reviews.csv", "--text", "body", "-o", "out.jsonl")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("augment", "paraphrse()", *AUGMENT, *FAKE), "did you mean paraphrase?"),
        (("augment", "keep( +", *AUGMENT), "does not parse"),
        (
            ("augment", "paraphrase()", *AUGMENT),
            "needs a language model for the role 'lm'; give one with --lm",
        ),
        (("augment", "paraphrase()", *AUGMENT, "--lm", "chta:x"), "did you mean chat?"),
        (("augment", "paraphrase()", *AUGMENT, "--lm", "chat:"), "names no model"),
        (("augment", "keep()", "none.csv", "-o", "o.csv"), "none.csv"),
        (("augment", "keep()", "reviews.csv", "-o", "o.csv"), "no field 'text'"),
        (
            ("augment", "keep()", "reviews.csv", "--text", "bodi", "-o", "o.csv"),
            "did you mean body?",
        ),
        (("augment", "keep()", "reviews.csv", "--text", "body", "-o", "no/o.csv"), "mkdir -p"),
        (("augment", "keep()", "reviews.csv", "--text", "body", "-o", "o.xyz"), "o.xyz"),
        (("augment", "keep() >> similar(min=0.5)", *AUGMENT), "--embedder"),
        (("augment", "generate('nope')", *AUGMENT, *FAKE), "unknown prompt 'nope'"),
        (("augment", "generate('icr', examples='none.jsonl')", *AUGMENT, *FAKE), "none.jsonl"),
        (
            (
                "augment",
                "paraphrase()",
                *AUGMENT,
                "--lm",
                "chat:x",
                "--base-url",
                "http://127.0.0.1:9/v1",
            ),
            "nothing answers",
        ),
        (
            ("augment", "paraphrase()", *AUGMENT, *FAKE, "--base-url", "http://x/v1"),
            "--base-url is for",
        ),
        (("augment", "keep()", *AUGMENT, "--embedder", "minilmm"), "minilm"),
        (("augment", "@none.plan", *AUGMENT), "the plan file none.plan cannot be read"),
        (("show", "mehtods"), "did you mean methods?"),
        (("show", "prompt", "paraphras"), "did you mean paraphrase?"),
        (("models", "pull", "smollm2"), "did you mean smollm2-135m?"),
    ],
)
def test_a_mistake_is_one_line_and_status_two(
    reviews: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = llmaug(*arguments, cwd=reviews)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert says in done.stderr
    assert done.stderr.startswith("llmaug: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(reviews: Path) -> None:
    done = llmaug("augment", "nope()", *AUGMENT, "--debug", cwd=reviews)
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("augment",), ("show",), ("models",), ("doctor",), ("demo",)]
)
def test_every_command_has_help_with_an_example(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = llmaug(*arguments, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage" in done.stdout
    if arguments not in ((), ("models",)):
        assert "Example" in done.stdout


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("methods", "back_translate("),
        ("steps", "similar("),
        ("prompts", "paraphrase"),
        ("backends", "transformers:NAME_OR_DIR"),
    ],
)
def test_show_lists(tmp_path: Path, what: str, says: str) -> None:
    assert says in llmaug("show", what, cwd=tmp_path).stdout


def test_show_prompt_prints_the_file(tmp_path: Path) -> None:
    said = llmaug("show", "prompt", "paraphrase", cwd=tmp_path).stdout
    assert "fingerprint 3a7d0a25dadb" in said
    assert "{{ text }}" in said


def test_a_recording_replays_to_the_same_output(reviews: Path) -> None:
    plan = "keep() + paraphrase(n=2)"
    made = llmaug("augment", plan, *AUGMENT, *FAKE, "--record", "calls.jsonl", cwd=reviews)
    assert made.returncode == 0, made.stderr
    again = llmaug(
        "augment",
        plan,
        "reviews.csv",
        "--text",
        "body",
        "-o",
        "again.jsonl",
        "--lm",
        "replay:calls.jsonl",
        cwd=reviews,
    )
    assert again.returncode == 0, again.stderr
    assert (reviews / "again.jsonl").read_bytes() == (reviews / "out.jsonl").read_bytes()


def test_a_cache_is_shared_between_runs(reviews: Path) -> None:
    for number, calls in enumerate(("2 calls", "0 calls, 2 from the cache")):
        done = llmaug(
            "augment",
            "paraphrase()",
            "reviews.csv",
            "--text",
            "body",
            "-o",
            f"{number}.jsonl",
            *FAKE,
            "--cache",
            "replies.sqlite",
            cwd=reviews,
        )
        assert calls in done.stderr
