"""`not_copied`: queries that are lifted from their passage or its title."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import PlanError
from llmaug.plan import Step
from llmaug.steps.not_copied import NotCopied
from llmaug.steps.word_runs import covered, runs, words
from llmaug.testing_step import StepContext, check_step
from llmaug.text import Text

PASSAGE = Text(
    "Zinc, taken at once, shortens the common cold by two days. It isn't free of side effects.",
    "d1",
    "d1",
    "",
    {"title": "Zinc for colds"},
)


def share(query: str, root: Text = PASSAGE, *, most: float = 0.99) -> float | str:
    """The copied share of a survivor, or why it was dropped."""
    ctx = StepContext(root=root)
    variant = root.derive(query, made_by="x()", id="v")
    passed = asyncio.run(NotCopied(max=most).apply([root, variant], ctx))
    assert passed[0] is root
    return passed[1].meta["copied"] if passed[1:] else ctx.drops[0][1]


@pytest.mark.parametrize(
    ("query", "copied"),
    [
        ("how long does a cold last with zinc", 0.0),
        ("shortens the common flu by two weeks", 0.0),  # no four words in a row
        ("does zinc shorten a cold by two days", 0.5),
        ("what shortens the common cold", 0.8),
        ("is it true that zinc shortens the common cold by a day", round(5 / 12, 4)),
        ("the common cold by two days: shortens the common cold", "copied>0.99"),
        ("SHORTENS — the «common» cold, by two days!", "copied>0.99"),
        ("ｓｈｏｒｔｅｎｓ the common cold", "copied>0.99"),
        ("it isn’t free of", "copied>0.99"),
        ("Zinc for colds?", "copied>0.99"),  # the whole title
        ("zinc for", 0.0),
        ("side effects", 0.0),  # a term, not a copy
        ("colds zinc taken at", 0.0),  # title and passage are not one text
        ("", 0.0),
        ("🙂", 0.0),
    ],
)
def test_the_share_of_words_in_copied_runs(query: str, copied: float | str) -> None:
    assert share(query) == copied


def test_the_bound_itself_passes() -> None:
    assert share("what shortens the common cold", most=0.8) == 0.8
    assert share("what shortens the common cold", most=0.79) == "copied>0.79"


def test_scripts_without_spaces_count_characters() -> None:
    root = Text("鋅可縮短感冒的時間", "d", "d")
    assert share("鋅可縮短感冒", root) == "copied>0.99"
    assert share("感冒要多久", root) == 0.0
    hindi = Text("जस्ता सर्दी को दो दिन कम करता है", "h", "h")
    assert words(hindi.text) == hindi.text.split()


letters = st.lists(st.sampled_from("abc"), max_size=12)


@given(letters, letters)
def test_coverage_is_the_words_of_all_common_runs(written: list[str], source: list[str]) -> None:
    known = set(runs(source, 3))
    marked = {
        at + i
        for at in range(len(written) - 2)
        if tuple(written[at : at + 3]) in known
        for i in range(3)
    }
    assert covered(written, known, length=3) == len(marked)


@given(st.text(max_size=40), st.text(max_size=20))
def test_a_text_of_four_words_is_copied_whole(text: str, other: str) -> None:
    root = Text(f"{other} {text}", "d", "d")
    if len(words(text)) >= 4:
        assert share(text.upper().lower(), Text(text.upper().lower(), "d", "d")) == "copied>0.99"
        assert share(text, root) == "copied>0.99"


@given(st.floats(0, 1, exclude_max=True))
def test_it_keeps_the_laws(most: float) -> None:
    check_step(NotCopied(max=most), names={"not_copied": NotCopied}, texts=[PASSAGE])


@pytest.mark.parametrize("most", [1, 1.5, -0.1, float("nan"), True, "0.8"])
def test_a_bound_that_makes_no_sense_is_refused(most: object) -> None:
    step: Step = NotCopied(max=most)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="max must be a number from 0 to less than 1"):
        step.check()
