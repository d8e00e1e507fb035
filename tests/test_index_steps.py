"""`roundtrip`, `passages` and the index of a run: what is found, kept, dropped and remembered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import llmaug as la
from llmaug.errors import PlanError, ResumeRefused
from llmaug.steps.passages import Passages
from llmaug.steps.roundtrip import Roundtrip
from llmaug.testing_step import StepContext

CORPUS = [
    la.Text("the kettle boils water", "d1", "d1", "", {"title": "Kettles"}),
    la.Text("dogs and their hair", "d2", "d2"),
    la.Text("water leaks from the machine", "d3", "d3"),
]


def variants(root, *texts):
    return [
        root,
        *(root.derive(text, made_by="x()", id=f"{root.id}/x.{i}") for i, text in enumerate(texts)),
    ]


def test_roundtrip_keeps_what_leads_back_and_counts_the_rest():
    ctx = StepContext(root=CORPUS[0], corpus=CORPUS)
    texts = variants(CORPUS[0], "kettle boils", "dogs hair")
    root, kept = asyncio.run(Roundtrip().apply(texts, ctx))
    assert root is CORPUS[0]
    assert (kept.text, kept.meta["found_at"]) == ("kettle boils", 1)
    assert [(text.text, reason) for text, reason in ctx.drops] == [
        ("dogs hair", "not in the top 1")
    ]


def test_passages_are_strings_without_the_input_itself():
    ctx = StepContext(root=CORPUS[0], corpus=CORPUS)
    (text,) = asyncio.run(Passages(k=2).apply([CORPUS[0]], ctx))
    assert text.meta["passage_ids"] == ["d3", "d2"]
    assert text.meta["passages"] == ["water leaks from the machine", "dogs and their hair"]
    query = la.Text("kettle", "q", "q")
    ctx = StepContext(root=query, corpus=CORPUS)
    (asked,) = asyncio.run(Passages(k=1).apply([query], ctx))
    assert asked.meta["passages"] == ["Kettles\nthe kettle boils water"]


@pytest.mark.parametrize("plan", ["roundtrip(k=0)", "passages(k=1001)", "roundtrip(k=True)"])
def test_k_is_a_number_of_passages(plan):
    with pytest.raises(PlanError, match="whole number from 1 to 1,000"):
        list(la.augment(plan, ["text"]))


def test_a_plan_that_searches_needs_an_index():
    with pytest.raises(PlanError, match="needs an index; give one with --index"):
        list(la.augment("roundtrip()", ["text"]))


@pytest.fixture
def index(tmp_path):
    pytest.importorskip("faiss", reason="needs the extra retrieval")
    return la.Index.build(CORPUS, tmp_path / "index", embedder="fake")


def test_a_plan_searches_a_real_index(index):
    made = la.augment("passages(k=1)", ["boiling water in a kettle"], index=index)
    (text,) = list(made)
    assert text.meta["passage_ids"] == ["d1"]
    # The fake model shuffles the words of a passage, so every variant leads back to it.
    written = la.augment(
        "generate('paraphrase') >> roundtrip()", CORPUS, lm=la.FakeBackend(), index=index
    )
    assert {text.root for text in written} == {"d1", "d2", "d3"}


def test_the_index_is_part_of_what_a_run_is(index, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "a", "text": "kettle"}\n')

    def job(index):
        return la.Job(
            la.parse("passages(k=1)"), la.read(source), tmp_path / "out.jsonl", {}, index=index
        )

    assert la.augment_file(job(index)).done == 1
    changed = index.add([la.Text("a kettle of fish", "d4", "d4")])
    with pytest.raises(ResumeRefused, match="another index"):
        la.augment_file(job(changed))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"index": "DIR"}, r'give llmaug\.Index\.open\("DIR"\)'),
        ({"index": Path("DIR")}, r'give llmaug\.Index\.open\("DIR"\)'),
        ({"embedder": "minilm"}, r'give llmaug\.embedder\("minilm"\)'),
    ],
)
def test_an_index_or_embedder_that_is_only_named_is_one_line(named, message, tmp_path):
    with pytest.raises(PlanError, match=message):
        la.augment("keep()", ["text"], **named)
    (tmp_path / "in.txt").write_text("text\n")
    source = la.read(tmp_path / "in.txt")
    with pytest.raises(PlanError, match=message):
        la.Job(la.parse("keep()"), source, tmp_path / "out.jsonl", **named)
