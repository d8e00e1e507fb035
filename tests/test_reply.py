"""From a reply to texts: what fits, and what does not and says so."""

from __future__ import annotations

import pytest

from llmaug.errors import ReplyError
from llmaug.reply import parse_reply

SCHEMA = {"type": "object", "required": ["queries"]}


@pytest.mark.parametrize(
    ("reply", "output", "expected"),
    [
        ("  hi\n", "text", ["hi"]),
        ("1. a\n2) b\n\n- c\n• d", "lines", ["a", "b", "c", "d"]),
        ('{"queries": ["a", " b "]}', "json", ["a", "b"]),
        ('```json\n{"queries": ["a"]}\n```', "json", ["a"]),
        ('{"queries": "a"}', "json", ["a"]),
        ('{"reasoning": "I think", "queries": ["a", "b"]}', "json", ["a", "b"]),
        ("Positive.", "label", ["positive"]),
    ],
)
def test_a_reply_that_fits(reply: str, output: str, expected: list[str]) -> None:
    schema = SCHEMA if output == "json" else None
    assert parse_reply(reply, output, schema=schema, labels=("positive", "negative")) == expected


@pytest.mark.parametrize(
    ("reply", "output", "says"),
    [
        ("", "text", "empty"),
        (" \n", "lines", "empty"),
        ("no", "json", "not JSON"),
        ('{"other": ["a"]}', "json", "lacks the field 'queries'"),
        ('{"queries": []}', "json", "empty"),
        ('{"queries": [1]}', "json", "no string"),
        ("meh", "label", "none of the labels"),
        ('{"queries": ["a"', "json", "not JSON"),
    ],
)
def test_a_reply_that_does_not(reply: str, output: str, says: str) -> None:
    schema = SCHEMA if output == "json" else None
    with pytest.raises(ReplyError, match=says):
        parse_reply(reply, output, schema=schema, labels=("positive", "negative"))


def test_the_last_line_of_a_reply_that_was_cut_off_is_left_out() -> None:
    assert parse_reply("one\ntwo\nthr", "lines", cut_off=True) == ["one", "two"]
    with pytest.raises(ReplyError, match="no complete line"):
        parse_reply("on", "lines", cut_off=True)
