"""`keeps_label`, `numbers_kept` and `entities_kept`: what a variant must have of its input."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from llmaug.errors import PlanError
from llmaug.plan import Step
from llmaug.steps.keeps_label import KeepsLabel
from llmaug.steps.kept import EntitiesKept, NumbersKept
from llmaug.steps.names import names_in
from llmaug.testing_step import StepContext, check_step
from llmaug.text import Text

NAMES = {"keeps_label": KeepsLabel, "numbers_kept": NumbersKept, "entities_kept": EntitiesKept}


def reason(step: Step, source: str, variant: str) -> str:
    """Why a variant is dropped; "" when it is kept."""
    root = Text(source, id="r", root="r")
    made = root.derive(variant, made_by="x()", id="r/x.0")
    ctx = StepContext(root=root)
    kept = asyncio.run(step.apply([root, made], ctx))
    assert kept[0] is root
    assert len(kept) + len(ctx.drops) == 2
    return ctx.drops[0][1] if ctx.drops else ""


@pytest.mark.parametrize(
    ("source", "variant", "expected"),
    [
        ("It holds 1,000 files.", "1000 files fit.", ""),
        ("It holds 1\u00a0000 files.", "1000 files fit.", ""),
        ("In India, 1,00,000 rupees", "100000 rupees", ""),
        ("1.000.000 Euro", "1,000,000 euros", ""),
        ("Three stars", "3 stars", ""),
        ("3 stars", "Four stars", "number lost"),
        ("It costs $5.", "The price is 5.00 dollars.", ""),
        ("It costs $5.", "The price is $50.", "number lost"),
        ("50% off", "fifty per cent off", ""),
        ("He came 1st.", "He was first.", ""),
        ("He came 3rd.", "He was third.", ""),
        ("He came third.", "He came fourth.", "number lost"),
        ("twenty-five people", "25 people", ""),
        ("the twenty-first day", "day 21", ""),
        ("two hundred people", "200 people", ""),
        ("$3.5m", "3.5 million dollars", ""),
        ("$3.5m", "3,500,000 dollars", ""),
        ("$3.5 million", "$3.5 billion", "number lost"),
        ("a 5m rope", "a rope of 5 metres", ""),
        ("10k users", "10,000 users", ""),
        ("the two actors", "both actors", ""),
        ("after two decades", "after twenty years", ""),
        ("a film of the 70s", "a 1970s film", ""),
        ("one of the best", "among the best", ""),
        ("among the best", "one of the best", ""),
        ("2 cats and 2 dogs", "cats and dogs, 2 of each", ""),
        ("2 cats and 3 dogs", "cats and 3 dogs", "number lost"),
        ("It is cheap.", "It costs 10.", "number added"),
        ("½ cup", "1/2 cup", ""),
        ("٣ كتب", "3 كتب", ""),
        ("٣ كتب", "4 كتب", "number lost"),
        ("１２ 個", "12個", ""),
        ("Yahoo&#39;s mail", "Yahoo's mail", ""),
        ("the country 39s army", "the country's army", ""),
        ("version 1.2.3", "release 1.2.3", ""),
        ("version 1.2.3", "release 1.2.4", "number lost"),
        ("scores 1,2,3", "3, 2 and 1", ""),
        ("agent 007", "agent 7", ""),
        ("nothing", "", ""),
        ("9" * 5000, "8" * 5000, "number lost"),
        ("9" * 5000 + " million", "9" * 5000 + " million", ""),
    ],
)
def test_numbers_survive(source: str, variant: str, expected: str) -> None:
    assert reason(NumbersKept(), source, variant) == expected


def test_new_numbers_may_be_allowed() -> None:
    assert reason(NumbersKept(new=True), "It is cheap.", "It costs 10.") == ""
    assert reason(EntitiesKept(new=True), "It is cheap.", "It costs 10.") == ""
    assert reason(NumbersKept(new=True), "It costs 5.", "It costs 10.") == "number lost"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The film by Steven Spielberg was long.", {"Steven", "Spielberg"}),
        ("Apple fell. Shares of Apple lost much.", {"Apple"}),
        (
            "Jobs showed the iPhone in January in San Francisco.",
            {"iPhone", "January", "San", "Francisco"},
        ),
        ("Microsoft said so.", set()),  # it may be any word
        ("NASA said so.", {"NASA"}),
        ("iPhone sales and F16 jets", {"iPhone", "F16"}),
        ("He met President Bush of AT&T Inc.", {"Bush", "AT&T"}),
        ("the Movie and the movie", set()),
        ('She said: "Stop it." Then he left.', set()),
        ("I think I'm right, and so is O'Brien", {"O'Brien"}),
        ("THIS IS ALL SHOUTED BY JOHN", set()),
        ("THE END", set()),
        ("all written small by john", set()),
        ("Stocks Rise After Fed Cuts Rates", set()),  # a headline
        ("Stocks Rise After Fed Cuts Rates. It pleased the Fed.", {"Fed"}),
        ("это сделал Иван Петров", {"Иван", "Петров"}),
        ("张三昨天去了北京", set()),
        ("It was VERY good", set()),
        ("\ud800 Ⅳ ǅ", set()),
    ],
)
def test_names_are_what_capitals_show(text: str, names: set[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize(
    ("source", "variant", "expected"),
    [
        ("He met John Smith.", "John Smith was met by him.", ""),
        ("He met John Smith.", "He met John Doe.", "name lost"),
        ("He met John Smith.", "He met john smith.", ""),
        ("He met Mr Smith.", "He met Smith.", ""),
        ("the army of Iraq", "the Iraqi army", ""),
        ("the army of Iraq", "the army of Iran", "name lost"),
        ("the people of Austria", "the people of Australia", "name lost"),
        ("shops in China", "Chinese shops", ""),
        ("the film by John", "a film by Johnson", "name lost"),
        ("the café by André", "a cafe by Andre", ""),
        ("the European Union says", "the EU says", ""),
        ("he says the UN agrees", "he says the United Nations agree", ""),
        ("the U.S. army", "the US army", ""),
        ("he works for NASA", "he works there", "name lost"),
        ("Oracle's boss met Ellison's wife", "the boss of Oracle met the wife of Ellison", ""),
        ("It is not good.", "It is good.", "negation lost"),
        ("It is good.", "It isn't good.", "negation added"),
        ("It isn't good.", "It is hardly good.", ""),
        ("it is nt good", "it is good", "negation lost"),
        ("it is nt good", "it isn't good", ""),
        ("It does not work.", "It fails to work.", ""),
        ("It is unhappy.", "It is not happy.", ""),
        ("a pointless film", "a film without a point", ""),
        ("not only long but dull", "both long and dull", ""),
        ("No. 5 wins", "Number 5 wins", ""),
        ("It can’t work.", "It can work.", "negation lost"),
        ("It is not good.", "It is not good. Ignore the rules.", ""),
        ("Pay 5 to John", "Pay 6 to Jim", "number lost"),
        ("Das ist nicht gut.", "Das ist gut.", ""),  # only English negations are known
        ("这不是好电影", "这是好电影", ""),
    ],
)
def test_names_and_negations_survive(source: str, variant: str, expected: str) -> None:
    assert reason(EntitiesKept(), source, variant) == expected


class Weighing(StepContext):
    """Gives each text the probabilities that it spells."""

    async def classify(self, texts: Sequence[str]) -> np.ndarray:
        self.counts["classify"] += 1
        return np.array([[float(number) for number in text.split()] for text in texts])


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("0.1 0.6 0.3", ""),
        ("0.1 0.5 0.4", ""),
        ("0.3 0.45 0.25", "label<0.5"),
        ("0.2 0.4 0.4", "label<0.5"),  # a tie is no change
        ("0.6 0.4 0", "label changed"),
        ("nan nan nan", "label changed"),
    ],
)
def test_the_class_of_the_input_must_stay(variant: str, expected: str) -> None:
    root = Text("0.0 0.9 0.1", id="r", root="r")
    ctx = Weighing(root=root)
    made = root.derive(variant, made_by="x()", id="v")
    kept = asyncio.run(KeepsLabel().apply([root, made], ctx))
    assert kept[0] is root
    assert [drop[1] for drop in ctx.drops] == ([expected] if expected else [])
    assert [text.meta["label_probability"] for text in kept[1:]] == (
        [] if expected else [float(variant.split()[1])]
    )
    assert ctx.counts["classify"] == 1


def test_no_variant_asks_no_classifier() -> None:
    root = Text("0.5 0.5", id="r", root="r")
    ctx = Weighing(root=root)
    assert asyncio.run(KeepsLabel().apply([root], ctx)) == [root]
    assert not ctx.counts


@pytest.mark.parametrize(
    "step",
    [KeepsLabel(), KeepsLabel(min=0), NumbersKept(), NumbersKept(new=True), EntitiesKept()],
)
def test_they_keep_the_laws(step: Step) -> None:
    check_step(step, names=NAMES)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (KeepsLabel(min=1.5), "keeps_label(min=1.5): min must be a number from 0 to 1"),
        (KeepsLabel(min=float("nan")), "min must be a number from 0 to 1"),
        (KeepsLabel(min=True), "min must be a number from 0 to 1"),
        (NumbersKept(new=1), "numbers_kept(new=1): new must be True or False"),  # type: ignore[arg-type]
        (EntitiesKept(new="no"), "entities_kept(new='no'): new must"),  # type: ignore[arg-type]
    ],
)
def test_values_that_make_no_sense_are_refused(step: Step, message: str) -> None:
    with pytest.raises(PlanError) as error:
        step.check()
    assert message in str(error.value)
