"""`cut`, `first_sentence` and `first_line`: the beginning of a passage and of a reply."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import llmaug as la
from llmaug.errors import PlanError
from llmaug.steps.cut import Cut, beginning, estimated_tokens
from llmaug.steps.not_shown import NotShown
from llmaug.steps.openings import FirstLine, FirstSentence
from llmaug.testing import StepContext, check_step
from llmaug.text import Text
from llmaug.vocabulary import STEPS

ROOT = Text("Bees were fed sugar.", "b", "b", "", {"title": "Bees"})


def opened(step: la.Step, reply: str, **meta: Any) -> Text:
    """What a step makes of a reply to the root."""
    variant = ROOT.derive(reply, made_by="made()", id="b/0", **meta)
    (text,) = asyncio.run(step.apply([variant], StepContext(ROOT)))
    return text


@pytest.mark.parametrize(
    "step", [Cut(), Cut(1), Cut(3), Cut(tokens=8), FirstSentence(), FirstLine(), NotShown("inpars")]
)
def test_the_steps_keep_the_laws(step: la.Step) -> None:
    check_step(step, names={**STEPS, "not_shown": NotShown})


@pytest.mark.parametrize(
    "sentence",
    [
        "E. coli grows in milk.",
        "As Fig. 2 shows, bees like sugar.",
        "See eq. (3) and p. 12 for the rate.",
        "Sugar vs. Honey was tried in bees.",
        "Smith et al. 2019 fed bees.",
        "J. A. Smith fed bees.",
        "The U.S. Senate likes honey.",
        "Bees like it, e.g. Apis mellifera does.",
        "They ate 0.5 mg of B. Subtilis.",
        "Do bees lack vitamin D?",
        "Bees lack vitamin D.",
        "The answer is no.",
        "蜜蜂喜欢糖。",
        "Bees... like sugar!",
        'Bees are "fond of sugar."',
        "Drs. and mr. Smith fed bees approx. 3 times.",
    ],
)
def test_the_first_sentence_ends_where_it_ends(sentence: str) -> None:
    assert opened(FirstSentence(), f"{sentence} The bees were happy. So were we.").text == sentence
    assert opened(FirstSentence(), f"{sentence}\nmore").text == sentence
    cut = opened(FirstSentence(), f"{sentence} The bees we", finish="length")
    assert (cut.text, "finish" in cut.meta) == (sentence, False)


@pytest.mark.parametrize(
    "reply", ["Bees like", "Bees ate 0.", "Bees of E.", "Honey vs.", "As in Fig.", "", "..."]
)
def test_a_reply_that_was_cut_within_its_first_sentence_stays_marked(reply: str) -> None:
    cut = opened(FirstSentence(), reply, finish="length")
    assert (cut.text, cut.meta["finish"]) == (reply, "length")


def test_a_sentence_without_an_end_is_whole_unless_it_was_cut() -> None:
    assert opened(FirstSentence(), "bees like sugar").text == "bees like sugar"
    assert opened(FirstSentence(), "Bees like sugar.", finish="length").meta == ROOT.meta


def test_the_first_line_keeps_full_stops_and_is_whole_when_another_follows() -> None:
    assert opened(FirstLine(), "Bees. A study\n\nMore").text == "Bees. A study"
    assert "finish" not in opened(FirstLine(), "Bees. A study\nMo", finish="length").meta
    assert opened(FirstLine(), "Bees and A. mel", finish="length").meta["finish"] == "length"
    assert opened(FirstLine(), "A study. The bees we", finish="length").text == "A study."


@pytest.mark.parametrize("step", [FirstSentence(), FirstLine()])
def test_what_stands_around_the_answer_does_not_count_as_its_opening(step: la.Step) -> None:
    assert (
        opened(step, "Sure! Here is a question:\n\n- Do bees eat?\n- Why?").text == "Do bees eat?"
    )
    assert opened(step, "<think>Hm. So</think>\n---\nDo bees eat?").text == "Do bees eat?"
    unfinished = "<think>Hm. So the bees"
    assert opened(step, unfinished, finish="length").text == unfinished


@given(st.text(), st.sampled_from(["stop", "length"]))
def test_an_opening_is_a_part_of_the_reply_that_loses_its_mark_only_when_whole(
    reply: str, finish: str
) -> None:
    for step in (FirstSentence(), FirstLine()):
        opening = opened(step, reply, finish=finish)
        assert opening.text in reply
        if opening.meta.get("finish") == "length":
            assert opening.text == reply


@given(st.text(), st.integers(1, 30))
@example("x" * 1_000_000, 256)
@example("茶" * 1_000_000, 256)
@example(" " * 100_000 + "x" * 500, 5)
@example("a b " * 250_000, 256)
def test_a_cut_text_is_a_beginning_within_the_limit(text: str, tokens: int) -> None:
    kept = beginning(text, tokens)
    assert text.strip().startswith(kept)
    assert estimated_tokens(kept) <= tokens
    assert bool(kept) == bool(text.strip())
    assert beginning(kept, tokens) == kept


@pytest.mark.parametrize(
    ("text", "tokens", "kept"),
    [
        ("one two three", 3, "one two three"),
        ("one two three", 2, "one two"),
        ("one two, three", 3, "one two,"),
        ("one two three.", 3, "one two"),  # its full stop is a part of a word
        ("one indistinguishable", 2, "one"),
        ("indistinguishable", 2, "indistinguisha"),
        ("我们跟踪了女性", 3, "我们跟"),
        ("bees 1250", 3, "bees"),
        ("один два", 2, "один"),
    ],
)
def test_a_cut_falls_between_words(text: str, tokens: int, kept: str) -> None:
    assert beginning(text, tokens) == kept


def test_a_cut_is_recorded_and_counted_and_leaves_the_title() -> None:
    ctx = StepContext(ROOT)
    (cut,) = asyncio.run(Cut(2).apply([ROOT], ctx))
    assert (cut.text, cut.id, cut.root, cut.made_by) == (
        "Bees were",
        "b/cut.0",
        "b",
        "cut(tokens=2)",
    )
    assert cut.meta == {"title": "Bees", "tokens_kept": 2, "tokens_whole": 5}
    assert ctx.counts == {"texts cut at 2 tokens": 1}
    (whole,) = asyncio.run(Cut(9).apply([ROOT], ctx))
    assert (whole.text, whole.made_by) == (ROOT.text, "")
    assert (whole.meta["tokens_kept"], whole.meta["tokens_whole"]) == (5, 5)


def test_a_second_cut_keeps_the_record_of_the_first() -> None:
    (cut,) = asyncio.run((Cut(2) >> Cut(9)).apply([ROOT], StepContext(ROOT)))
    assert (cut.meta["tokens_kept"], cut.meta["tokens_whole"]) == (2, 5)


@pytest.mark.parametrize("plan", ["cut(tokens=0)", "cut(0.5)", "cut(True)", "cut('9')"])
def test_a_wrong_limit_is_one_line(plan: str) -> None:
    with pytest.raises(PlanError, match="tokens must be a whole number from 1 to 100,000"):
        la.parse(plan).check()
