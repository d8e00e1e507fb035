"""`keep`, `dedupe`, `similar` and `length`: what passes, what is dropped and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from llmaug.errors import PlanError
from llmaug.plan import Step
from llmaug.steps.filters import Dedupe, Length, Similar
from llmaug.steps.keep import Keep
from llmaug.testing_step import StepContext
from llmaug.text import Text

ROOT = Text("The film was a mess.", id="r", root="r")


def judged(step: Step, *written: str, root: Text = ROOT) -> tuple[list[str], dict[str, str]]:
    """The texts that pass, the input first, and the reason for each that does not."""
    texts = [
        root,
        *(root.derive(text, made_by="x()", id=f"r/x.{i}") for i, text in enumerate(written)),
    ]
    ctx = StepContext(root=root)
    kept = asyncio.run(step.apply(texts, ctx))
    return [text.text for text in kept], {text.text: reason for text, reason in ctx.drops}


def test_keep_passes_the_same_objects_on() -> None:
    assert asyncio.run(Keep().apply([ROOT], StepContext(root=ROOT)))[0] is ROOT


@pytest.mark.parametrize(
    "twin",
    [
        "The film was a mess.",
        "the film was a mess",
        "THE FILM  WAS A MESS!",
        ' "The film was a\nmess" ',
        "Ｔｈｅ ｆｉｌｍ was a mess",
        "The ﬁlm was a mess…",
    ],
)
def test_dedupe_drops_what_equals_the_input(twin: str) -> None:
    assert judged(Dedupe(), twin, "Another text") == (
        [ROOT.text, "Another text"],
        {twin: "duplicate"},
    )


def test_dedupe_drops_what_equals_an_earlier_variant() -> None:
    kept, drops = judged(Dedupe(), "Bad film", "bad film!", "Bad movie")
    assert kept == [ROOT.text, "Bad film", "Bad movie"]
    assert drops == {"bad film!": "duplicate"}


def test_dedupe_compares_with_the_input_where_the_plan_left_it_out() -> None:
    variant = ROOT.derive(ROOT.text, made_by="x()", id="r/x.0")
    ctx = StepContext(root=ROOT)
    assert asyncio.run(Dedupe().apply([variant], ctx)) == []
    assert ctx.drops == [(variant, "duplicate")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I write C", "I write C#"),
        ("It costs 5", "It costs $5"),
        ("!!!", "???"),
        ("straße", "strass"),
        ("e\u0301t", "et"),
        ("good 🙂", "good 🙁"),
    ],
)
def test_dedupe_keeps_different_texts_apart(one: str, other: str) -> None:
    assert judged(Dedupe(), one, other)[0] == [ROOT.text, one, other]


class Angles(StepContext):
    """Embeds a number as the unit vector whose cosine with the input's is that number."""

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.counts["embed"] += 1
        cosines = np.array([1.0 if text == ROOT.text else float(text) for text in texts])
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)


def test_similar_drops_on_both_sides_and_records_the_cosine() -> None:
    texts = [ROOT, *(ROOT.derive(t, made_by="x()", id=t) for t in ("0.5", "0.7", "0.9", "0.99"))]
    ctx = Angles(root=ROOT)
    kept = asyncio.run(Similar(min=0.7, max=0.98).apply(texts, ctx))
    assert kept[0] is ROOT
    assert [(text.text, text.meta["similarity"]) for text in kept[1:]] == [
        ("0.7", 0.7),
        ("0.9", 0.9),
    ]
    assert [(text.text, reason) for text, reason in ctx.drops] == [
        ("0.5", "similar<0.7"),
        ("0.99", "similar>0.98"),
    ]
    assert ctx.counts["embed"] == 1


def test_similar_asks_for_no_embedding_without_a_variant() -> None:
    ctx = Angles(root=ROOT)
    assert asyncio.run(Similar(min=0.7).apply([ROOT], ctx)) == [ROOT]
    assert not ctx.counts


def test_similar_drops_what_has_no_cosine() -> None:
    ctx = Angles(root=ROOT)
    variant = ROOT.derive("nan", made_by="x()", id="v")
    assert asyncio.run(Similar(max=0.9).apply([variant], ctx)) == []
    assert ctx.drops == [(variant, "similar>0.9")]


def test_length_compares_words_with_the_input() -> None:
    kept, drops = judged(
        Length(min_ratio=0.5, max_ratio=2.0), "Bad", "a bad film", "word " * 10, "word " * 11
    )
    assert kept == [ROOT.text, "a bad film", "word " * 10]
    assert drops == {"Bad": "length<0.5", "word " * 11: "length>2.0"}


def test_length_counts_characters_where_nobody_writes_spaces() -> None:
    root = Text("映画は最初から最後までめちゃくちゃだった", id="r", root="r")
    kept, drops = judged(
        Length(min_ratio=0.5), "ひどい映画", "映画は終始めちゃくちゃだった", root=root
    )
    assert kept == [root.text, "映画は終始めちゃくちゃだった"]
    assert drops == {"ひどい映画": "length<0.5"}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Similar(), "similar(): give min, max or both"),
        (Similar(min=1.5), "min must be a number from -1 to 1"),
        (Similar(max=float("nan")), "max must be a number from -1 to 1"),
        (Similar(min="0.7"), "min must be a number"),  # type: ignore[arg-type]
        (Similar(min=0.9, max=0.7), "similar(min=0.9, max=0.7): min must be less than max"),
        (Length(), "length(): give min_ratio, max_ratio or both"),
        (Length(min_ratio=-1), "min_ratio must be a number from 0"),
        (Length(max_ratio=float("inf")), "max_ratio must be a number from 0"),
        (Length(min_ratio=2, max_ratio=2), "min_ratio must be less than max_ratio"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(step: Step, message: str) -> None:
    with pytest.raises(PlanError) as error:
        step.check()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "step",
    [
        Similar(min=-1),
        Similar(max=1),
        Similar(min=0, max=0.5),
        Length(min_ratio=0.5),
        Length(max_ratio=3),
    ],
)
def test_sensible_bounds_pass(step: Step) -> None:
    assert step.check() is None
