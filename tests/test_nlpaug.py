"""`nlpaug`: the library's noise, and what a copy depends on."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from llmaug.errors import MissingExtra, PlanError
from llmaug.steps.nlpaug import KINDS, Nlpaug
from llmaug.testing_step import StepContext, check_step
from llmaug.text import Text

SENTENCE = "The battery lasts two days, and charges in under an hour."

kinds = pytest.mark.parametrize("kind", sorted(KINDS))


@pytest.fixture
def library() -> None:
    pytest.importorskip("nlpaug")


def copies(text: str, step: Nlpaug, *, seed: int = 0, id: str = "r") -> list[str]:
    return [variant.text for variant in applied(text, step, seed=seed, id=id)[0]]


def applied(
    text: str, step: Nlpaug, *, seed: int = 0, id: str = "r"
) -> tuple[list[Text], list[str]]:
    root = Text(text, id=id, root=id)
    ctx = StepContext(root=root, seed=seed)
    return asyncio.run(step.apply([root], ctx)), [reason for _, reason in ctx.drops]


@pytest.mark.usefixtures("library")
@kinds
def test_every_kind_keeps_the_laws(kind: str) -> None:
    check_step(Nlpaug(kind, n=2, rate=0.3), names={"nlpaug": Nlpaug})
    assert str(Nlpaug(kind)) == f"nlpaug({kind!r})"


@pytest.mark.usefixtures("library")
@kinds
def test_every_kind_changes_a_sentence(kind: str) -> None:
    variants, drops = applied(SENTENCE, Nlpaug(kind, n=4, rate=0.3))
    assert not drops
    assert any(variant.text != SENTENCE for variant in variants)
    assert variants[0].made_by.startswith(f"nlpaug({kind!r}, n=4, rate=0.3)@")
    assert [variant.id for variant in variants] == [f"r/nlpaug.{i}" for i in range(4)]


@pytest.mark.usefixtures("library")
@kinds
def test_a_copy_depends_on_seed_text_and_number_alone(kind: str) -> None:
    step = Nlpaug(kind, n=3, rate=0.3)
    first = copies(SENTENCE, step)
    random.seed(5)
    np.random.seed(5)
    copies("Another text, in between.", step)
    assert copies(SENTENCE, step, id="another") == first
    assert copies(SENTENCE, Nlpaug(kind, n=2, rate=0.3)) == first[:2]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: copies(SENTENCE, step), range(8))) == [first] * 8


@pytest.mark.usefixtures("library")
def test_seeds_and_numbers_give_different_copies() -> None:
    step = Nlpaug("char_insert", n=4)
    assert len({*copies(SENTENCE, step), *copies(SENTENCE, step, seed=1)}) == 8


@pytest.mark.usefixtures("library")
@kinds
def test_the_callers_own_draws_go_on(kind: str) -> None:
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    variants = copies(SENTENCE, Nlpaug(kind, n=2))
    assert len(variants) == 2
    assert (random.random(), np.random.random()) == expected


@pytest.mark.usefixtures("library")
def test_spelling_mistakes_are_the_same_in_every_process() -> None:
    script = (
        "import asyncio; from llmaug.steps.nlpaug import Nlpaug; "
        "from llmaug.testing_step import StepContext; from llmaug.text import Text; "
        f"root = Text({SENTENCE!r}, 'r', 'r'); step = Nlpaug('word_spelling', n=3, rate=1.0); "
        "print([t.text for t in asyncio.run(step.apply([root], StepContext(root=root)))])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert said == {f"{copies(SENTENCE, Nlpaug('word_spelling', n=3, rate=1.0))}\n"}


@pytest.mark.usefixtures("library")
@kinds
@pytest.mark.parametrize("text", ["a", "!", "ok", "x y", "哈哈", "\ud800", "<>", "...", "🙂"])
def test_odd_texts_give_a_copy_or_a_reason(kind: str, text: str) -> None:
    variants, drops = applied(text, Nlpaug(kind, n=4, rate=0.3))
    assert len(variants) + len(drops) == 4
    assert all(variant.text.strip() for variant in variants)
    assert set(drops) <= {"empty", "nlpaug failed"}


@pytest.mark.usefixtures("library")
@kinds
def test_a_blank_text_is_dropped_as_empty(kind: str) -> None:
    for blank in ("", " \n "):
        assert applied(blank, Nlpaug(kind)) == ([], ["empty"])


@pytest.mark.usefixtures("library")
def test_the_rate_holds_in_long_texts() -> None:
    long = " ".join(f"word{'abcdefghij'[i % 10]}" for i in range(200))
    copy = copies(long, Nlpaug("char_substitute", rate=0.5))[0]
    assert sum(a != b for a, b in zip(long.split(), copy.split(), strict=True)) > 60


@pytest.mark.usefixtures("library")
def test_the_version_is_part_of_the_plans_identity() -> None:
    [(name, mark)] = Nlpaug("word_swap").fingerprints().items()
    assert name == "nlpaug"
    assert copies(SENTENCE, Nlpaug("word_swap"))
    assert applied(SENTENCE, Nlpaug("word_swap"))[0][0].made_by.endswith(f"@{mark}")
    assert len(bytes.fromhex(mark)) == 6


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Nlpaug("word_swaps"), "unknown kind 'word_swaps'; did you mean word_swap"),
        (Nlpaug("synonym"), "unknown kind 'synonym'; known: char_delete"),
        (Nlpaug(3), "unknown kind 3"),  # type: ignore[arg-type]
        (Nlpaug("word_swap", n=0), "n must be a whole number from 1 to 10,000"),
        (Nlpaug("word_swap", n=True), "n must be a whole number"),
        (Nlpaug("word_swap", rate=0), "rate must be a number above 0 and at most 1"),
        (Nlpaug("word_swap", rate=float("nan")), "rate must be a number"),
    ],
)
def test_a_wrong_argument_is_one_line(step: Nlpaug, message: str) -> None:
    with pytest.raises(PlanError) as error:
        step.check()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nlpaug", None)
    with pytest.raises(MissingExtra, match=r"pip install 'llmaug\[nlpaug\]'"):
        Nlpaug("word_swap").check()
