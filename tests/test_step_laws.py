"""The laws of `check_step`: every built-in step keeps them, and a step that breaks one is told."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.notation import parse
from llmaug.plan import Context, Step
from llmaug.steps.clean import Clean
from llmaug.steps.cut import Cut
from llmaug.steps.edit import KINDS, Edit
from llmaug.steps.filters import Dedupe, Length, Similar
from llmaug.steps.generate import Generate
from llmaug.steps.join import Join
from llmaug.steps.keep import Keep
from llmaug.steps.not_copied import NotCopied
from llmaug.steps.openings import FirstLine, FirstSentence
from llmaug.steps.passages import Passages
from llmaug.steps.roundtrip import Roundtrip
from llmaug.steps.specific import Specific
from llmaug.steps.stored import Stored
from llmaug.testing_step import check_step
from llmaug.text import Text
from llmaug.vocabulary import STEPS

STORED = "".join(f'{{"id": "t{i}", "variants": ["one {i}", "two", ""]}}\n' for i in range(3))


@pytest.fixture(scope="module")
def stored_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it's stored.jsonl"
        path.write_text(STORED, encoding="utf-8")
        yield str(path)


bounds = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).filter(lambda b: b[0] != b[1]).map(sorted)
ratios = st.tuples(st.floats(0, 5), st.floats(0, 5)).filter(lambda b: b[0] != b[1]).map(sorted)
counts = st.integers(1, 3)

makers = st.one_of(
    st.builds(Keep),
    st.builds(Edit, st.sampled_from(sorted(KINDS)), rate=st.floats(0, 1), n=counts),
    st.builds(
        Generate,
        st.sampled_from(["paraphrase", "simplify", "formalise"]),
        n=counts,
        temperature=st.none() | st.floats(0, 2),
        max_tokens=st.none() | st.integers(1, 99),
    ),
)
filters = st.one_of(
    st.builds(Dedupe),
    st.builds(Clean),
    st.builds(Roundtrip, k=counts),
    st.builds(NotCopied, max=st.floats(0, 1, exclude_max=True)),
    st.builds(Passages, k=counts),
    st.builds(Specific, max=counts, margin=st.floats(0, 1, exclude_max=True)),
    st.builds(Cut, tokens=st.integers(1, 20)),
    st.sampled_from([FirstSentence(), FirstLine()]),
    bounds.map(lambda b: Similar(min=b[0], max=b[1])),
    bounds.map(lambda b: Similar(min=b[0])),
    bounds.map(lambda b: Similar(max=b[1])),
    ratios.map(lambda b: Length(min_ratio=b[0], max_ratio=b[1])),
    st.builds(Length, max_ratio=st.floats(0, 3)),
)
joins = st.builds(Join, st.text(max_size=3))
plans = st.recursive(
    makers | filters | joins,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] >> pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(makers | filters | joins)
def test_every_built_in_step_keeps_the_laws(step: Step) -> None:
    check_step(step, names=STEPS)


@pytest.mark.parametrize("n", [None, 1, 2])
def test_stored_keeps_the_laws(stored_file: str, n: int | None) -> None:
    # t3 and t4 are not in the file.
    check_step(Stored(stored_file, n=n), names=STEPS)


@settings(max_examples=40, deadline=None)
@given(plans)
def test_every_plan_of_built_in_steps_keeps_the_laws(plan: Step) -> None:
    check_step(plan, names=STEPS)


@settings(max_examples=200, deadline=None)
@given(plans)
def test_a_plan_reads_back_as_it_prints(plan: Step) -> None:
    assert parse(str(plan), STEPS) == plan


@dataclass(frozen=True, repr=False)
class Silent(Step):
    """Loses variants without a word."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [text for text in texts if not text.made_by]


@dataclass(frozen=True, repr=False)
class Twice(Step):
    """Passes every text on twice."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [*texts, *texts]


@dataclass(frozen=True, repr=False)
class Anonymous(Step):
    """Changes an input and does not say so."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [replace(text, text=text.text + "!") for text in texts]


@dataclass(frozen=True, repr=False)
class Stray(Step):
    """Gives its variants a root of their own."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [Text(text.text, "x", "x", "stray()") for text in texts]


NUMBERS = itertools.count()


@dataclass(frozen=True, repr=False)
class Counting(Step):
    """Depends on how many texts came before."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [
            text.derive(str(next(NUMBERS)), made_by="counting()", id=f"{text.id}/c")
            for text in texts
        ]


@dataclass(frozen=True, repr=False)
class Unreasonable(Step):
    """Drops without a reason."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        for text in texts:
            ctx.drop(text, "")
        return []


@dataclass(frozen=True, repr=False)
class Promising(Step):
    """Says that it gives a field, and does not."""

    gives = frozenset({"score"})

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return texts


@dataclass(frozen=True)
class Dressed(Keep):
    """Prints as a dataclass."""


@dataclass(repr=False, eq=False)
class Loose(Step):
    """Can be changed after a plan was made."""

    rate: float = 0.5


class Plain(Step):
    """No dataclass at all."""


@dataclass(frozen=True, repr=False)
class Forgetful(Keep):
    """Prints less than it holds."""

    n: int = 1

    def __str__(self) -> str:
        return "forgetful()"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Silent(), "must be one of the two, once"),
        (Twice(), "passed on 2 times"),
        (Anonymous(), "is no input and has no made_by"),
        (Stray(), "has the root x"),
        (Counting(), "differs from counting"),
        (Unreasonable(), "dropped without a reason"),
        (Promising(), "lacks ['score']"),
        (Dressed(), "repr differs from str"),
        (Loose(), "not frozen"),
        (Plain(), "a step is a frozen dataclass"),
        (Forgetful(n=2), "gives another step"),
    ],
)
def test_a_step_that_breaks_a_law_is_told_which(step: Step, message: str) -> None:
    names = {
        cls.__name__.lower(): cls
        for cls in (
            Silent,
            Twice,
            Anonymous,
            Stray,
            Counting,
            Unreasonable,
            Promising,
            Dressed,
            Forgetful,
            Loose,
        )
    }
    with pytest.raises(AssertionError) as error:
        check_step(step, names=names)
    assert message in str(error.value)


def test_texts_of_ones_own_reach_the_step() -> None:
    with pytest.raises(AssertionError, match="disappeared"):
        check_step(Picky(), texts=[Text("hidden", "h", "h")], names={"picky": Picky})
    check_step(Picky(), texts=[Text("seen", "s", "s")], names={"picky": Picky})


@dataclass(frozen=True, repr=False)
class Picky(Step):
    """Loses every text of one root."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [] if ctx.root.text == "hidden" else texts
