"""A recipe that is killed again and again ends as one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recipe_corpus import FAKE, HUMAN, done, recipe_folder, written

from llmaug.testing import MisbehavingServer
from llmaug.training.recipe import STAGES

pytest.importorskip("sentence_transformers")
WHOLE = HUMAN + FAKE.replace("n=2", "n=1") + "saturation: [0.5, 1.0]\n"
WHOLE += "train: {batch: 16, epochs: 4, learning_rate: 0.05}\n"
SAME = (
    "generate/pairs.jsonl",
    "filter/pairs.jsonl",
    "filter/dev.json",
    "mine/mined.jsonl",
    "train/model/model.safetensors",
    "gate/decision.json",
    "gate/model/model.safetensors",
    "evaluate/results.json",
    "model/model.safetensors",
)

# One process forks a child for each kill, so that torch is imported once. A child dies as it
# opens a file of that name for writing, or puts one in force.
KILLED = """
import os, signal, sys
import sentence_transformers, llmaug.training.trainer, matplotlib.pyplot
from llmaug.training.recipe import run_recipe
from llmaug.training.recipe_file import read_recipe

recipe, *deaths = sys.argv[1:]

def doomed(part):
    def hook(event, found):
        if event == "open":
            path, mode, flags = found
            wrote = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        elif event == "os.rename":
            path, wrote = found[1], True
        else:
            return
        if wrote and isinstance(path, (str, bytes, os.PathLike)) and part in os.fsdecode(path):
            os.kill(os.getpid(), signal.SIGKILL)
    return hook

for part in deaths:
    child = os.fork()
    if not child:
        sys.addaudithook(doomed(part))
        run_recipe(read_recipe(recipe))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(part, os.WTERMSIG(status) if os.WIFSIGNALED(status) else "finished", flush=True)
"""
DEATHS = (
    "base/index/",
    "variants.jsonl.run/output.jsonl",
    "generate/pairs.jsonl",
    "filter/dev.json",
    "mine/mined.jsonl.json",
    "step-7",
    "train/trained.json",
    "saturation/work/human",
    "saturation/work/25",
    "saturation/saturation.json",
    "gate/decision.json",
    "out/index/",
    "evaluate/results.json",
    "model/README.md",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the process that is killed: sums in another number of threads differ in last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    return done(folder, WHOLE, output=folder / "whole").folder


def assert_same(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_killed_in_every_stage_it_ends_the_same(folder: Path, whole: Path) -> None:
    recipe = written(folder, WHOLE + "output: out\n", name="killed.yaml")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(recipe), *DEATHS, "nothing"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    told = dict(line.rsplit(" ", 1) for line in ended.stdout.splitlines())
    expected = dict.fromkeys(DEATHS, str(int(signal.SIGKILL))) | {"nothing": "finished"}
    assert told == expected, ended.stderr
    assert_same(folder / "out", whole)
    assert not list((folder / "out").glob("*/work"))


@pytest.mark.parametrize("stage", ["negatives", "train"])
def test_interrupted_it_goes_on(folder: Path, whole: Path, tmp_path: Path, stage: str) -> None:
    def stop(name: str, done: int, total: int | None) -> None:
        if name == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done(folder, WHOLE, output=tmp_path / "out", progress=stop)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [name for name, entry in manifest["stages"].items() if "files" in entry] == [
        name for name in STAGES if (whole / name).exists()
    ][: len(manifest["stages"]) - 1]
    done(folder, WHOLE, output=tmp_path / "out")
    assert_same(tmp_path / "out", whole)


def test_no_query_is_paid_for_twice(folder: Path, tmp_path: Path) -> None:
    with MisbehavingServer(latency=0.01).in_thread() as server:
        text = (
            "generate: {plan: 'doc2query(n=1)', lm: 'chat:test-model', window: 4, "
            f"base_url: '{server.url}'}}\n"
        )

        def stop(name: str, done: int, total: int | None) -> None:
            if name == "generate" and done >= 40:
                raise KeyboardInterrupt

        options: dict[str, Any] = {"output": tmp_path / "out", "until": "generate"}
        with pytest.raises(KeyboardInterrupt):
            done(folder, text, progress=stop, **options)
        before = server.requests
        assert 40 <= before < 100
        done(folder, text, **options)
        assert server.requests <= 100 + 4  # those in flight when it was stopped
        first = (tmp_path / "out" / "generate" / "pairs.jsonl").read_bytes()
        asked = server.requests
        done(folder, text, fresh=True, **options)
        assert server.requests == asked
        assert (tmp_path / "out" / "generate" / "pairs.jsonl").read_bytes() == first
    again = text.replace("window: 4", "window: 9").replace(server.url, "http://127.0.0.1:9/v1")
    done(folder, again, **options)  # where it was asked and how fast made no difference
