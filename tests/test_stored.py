"""`stored`: variants from a file, by root id."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from llmaug.errors import PlanError
from llmaug.plan import check, fingerprints
from llmaug.steps.keep import Keep
from llmaug.steps.stored import Stored
from llmaug.testing_step import StepContext
from llmaug.text import Text

LINES = """\
{"id": "a", "variants": ["one", "two", "three"], "best": "two"}
{"_id": "b", "variants": "only", "best": "only"}

{"id": 3, "variants": ["x", " "], "best": "ä"}
{"id": "none", "variants": [], "best": ""}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "made.jsonl"
    path.write_text(LINES, encoding="utf-8")
    return str(path)


def looked_up(step: Stored, root: str) -> tuple[list[Text], list[tuple[str, str]]]:
    text = Text("the input", id=root, root=root, meta={"label": 1})
    ctx = StepContext(root=text)
    variants = asyncio.run(step.apply([text], ctx))
    return variants, [(dropped.id, reason) for dropped, reason in ctx.drops]


@pytest.mark.parametrize(
    ("root", "n", "expected"),
    [
        ("a", None, ["one", "two", "three"]),
        ("a", 2, ["one", "two"]),
        ("a", 9, ["one", "two", "three"]),
        ("b", None, ["only"]),
    ],
)
def test_variants_come_in_the_order_of_the_file(
    file: str, root: str, n: int | None, expected: list[str]
) -> None:
    variants, drops = looked_up(Stored(file, n=n), root)
    assert [variant.text for variant in variants] == expected
    assert [variant.id for variant in variants] == [
        f"{root}/stored.{i}" for i in range(len(expected))
    ]
    assert not drops


def test_a_variant_says_which_state_of_the_file_it_comes_from(file: str) -> None:
    mark = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]
    step = Stored(file, n=1, field="best")
    assert fingerprints(Keep() + step) == {f"stored:{file}": mark}
    variants, _ = looked_up(step, "a")
    assert variants == [Text("two", "a/stored.0", "a", f"{step}@{mark}", {"label": 1})]


def test_a_number_is_an_id_and_a_blank_text_is_dropped(file: str) -> None:
    variants, drops = looked_up(Stored(file), "3")
    assert [variant.text for variant in variants] == ["x"]
    assert drops == [("3/stored.1", "empty")]
    assert looked_up(Stored(file, field="best"), "3")[0][0].text == "ä"


def test_a_root_without_variants_is_a_counted_drop(file: str) -> None:
    assert looked_up(Stored(file), "z") == ([], [("z", f"not in {file}")])
    assert looked_up(Stored(file), "none") == ([], [("none", f"no variants in {file}")])


def test_a_changed_file_is_read_again(file: str) -> None:
    before = fingerprints(Stored(file))
    Path(file).write_text('{"id": "z", "variants": ["new"]}\n', encoding="utf-8")
    os.utime(file, ns=(1, 1))
    assert fingerprints(Stored(file)) != before
    assert looked_up(Stored(file), "z")[0][0].text == "new"


def test_a_variant_looks_up_its_root(file: str) -> None:
    root = Text("the input", id="b", root="b")
    variant = root.derive("an edit", made_by="edit('swap')", id="b/edit.0")
    made = asyncio.run(Stored(file).apply([variant], StepContext(root=root)))
    assert [(text.id, text.root, text.text) for text in made] == [
        ("b/edit.0/stored.0", "b", "only")
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "y", "variants": ', ":2: broken JSON: "),
        ('{"id": "y", "variants": "\udcff"}', ":2: broken JSON: "),
        ("[1]", ":2: not a JSON object"),
        (
            '{"name": "y", "variants": []}',
            ":2: no field 'id' or '_id' with a string or a number; the fields are name, variants",
        ),
        ('{"id": null, "variants": []}', ":2: no field 'id' or '_id'"),
        (
            '{"id": "y", "variant": []}',
            ":2: no field 'variants'; the fields are id, variant; did you mean variant?",
        ),
        ('{"id": "y", "texts": []}', ":2: no field 'variants'; the fields are id, texts"),
        (
            '{"id": "y", "variants": [1]}',
            ":2: the field 'variants' must be a string or a list of strings",
        ),
        ('{"id": "a", "variants": []}', ":2: the id 'a' stands on an earlier line too"),
    ],
)
def test_a_wrong_line_stops_the_plan_with_its_number(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"id": "a", "variants": ["x"]}\n' + line + "\n", encoding="utf-8", errors="surrogateescape"
    )
    with pytest.raises(PlanError) as error:
        check(Stored(str(path)))
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_wrong_n_are_refused(file: str) -> None:
    with pytest.raises(PlanError, match=r"^stored: nowhere\.jsonl cannot be read: No such file"):
        check(Stored("nowhere.jsonl"))
    with pytest.raises(PlanError, match="n must be a whole number above 0"):
        check(Stored(file, n=0))


def test_a_plan_prints_as_it_is_written() -> None:
    assert str(Stored("a.jsonl")) == "stored('a.jsonl')"
    assert str(Stored("a.jsonl", n=2, field="rewrites")) == (
        "stored('a.jsonl', n=2, field='rewrites')"
    )
