"""`rerank_first`: queries whose own passage a cross-encoder ranks first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tiny_cross_encoder import relevance_alone, tiny_cross_encoder

from llmaug.errors import ModelError, PlanError
from llmaug.plan import Step
from llmaug.plan import fingerprints as fingerprints_of
from llmaug.steps.rerank_first import RerankFirst
from llmaug.testing_step import StepContext, check_step
from llmaug.text import Text
from llmaug.vocabulary import parse

CORPUS = [
    Text("the kettle boils water", "d1", "d1", "", {"title": "Kettles"}),
    Text("dogs and their hair", "d2", "d2"),
    Text("water leaks from the machine", "d3", "d3"),
    Text("two minutes", "d4", "d4"),
]
QUERIES = ["kettle boils", "dogs hair", "water", "quiet vacuum cleaner", "minutes machine", "the"]
READ = {text.id: text.text for text in CORPUS} | {"d1": "Kettles the kettle boils water"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder(tmp_path_factory.mktemp("ranker"))


def judged(
    step: Step, root: Text, corpus: list[Text] = CORPUS
) -> tuple[dict[str, float], set[str]]:
    """What was kept with its relevance, and what was dropped."""
    texts = [root, *(root.derive(q, made_by="x()", id=f"v{i}") for i, q in enumerate(QUERIES))]
    ctx = StepContext(root=root, corpus=corpus)
    first, *kept = asyncio.run(step.apply(texts, ctx))
    assert first is root
    assert {reason for _, reason in ctx.drops} <= {"not ranked first"}
    return {t.text: t.meta["relevance"] for t in kept}, {t.text for t, _ in ctx.drops}


@pytest.mark.parametrize("root", CORPUS, ids=lambda text: text.id)
def test_what_the_model_ranks_first_is_kept(folder: Path, root: Text) -> None:
    kept, dropped = judged(RerankFirst(str(folder)), root)
    for query in QUERIES:
        scores = {id: relevance_alone(folder, query, text) for id, text in READ.items()}
        if max(scores, key=scores.__getitem__) == root.id:
            assert kept.pop(query) == pytest.approx(scores[root.id], abs=2e-4)
        else:
            assert query in dropped
    assert not kept


def test_every_query_is_somebodys(folder: Path) -> None:
    firsts = [set(judged(RerankFirst(str(folder)), root)[0]) for root in CORPUS]
    assert sorted(query for first in firsts for query in first) == sorted(QUERIES)


def test_only_the_passages_found_compete(folder: Path) -> None:
    # With k=1 and no passage found but the input, nothing can be better than it.
    for root in CORPUS:
        assert not judged(RerankFirst(str(folder), k=1), root, [root])[1]
    # The input is compared where it is not found, too.
    outside = Text("quiet vacuum cleaner picks up hair", "d9", "d9")
    kept, dropped = judged(RerankFirst(str(folder)), outside)
    assert set(kept) | dropped == set(QUERIES)
    assert kept == judged(RerankFirst(str(folder)), outside, [*CORPUS, outside])[0]


def test_a_twin_in_the_index_is_no_defeat(folder: Path) -> None:
    twins = [Text(CORPUS[1].text, f"twin{i}", f"twin{i}") for i in range(3)]
    step = RerankFirst(str(folder))
    assert judged(step, CORPUS[1], CORPUS + twins) == judged(step, CORPUS[1])


def test_it_keeps_the_laws(folder: Path) -> None:
    check_step(RerankFirst(str(folder)), names={"rerank_first": RerankFirst})
    step = RerankFirst(str(folder), k=2)
    for plan in (step, parse("edit('typo')") >> step, step >> parse("dedupe() >> specific()")):
        check_step(plan)


def test_another_model_makes_another_run(folder: Path, tmp_path: Path) -> None:
    other = tiny_cross_encoder(tmp_path / "other", seed=1)
    marks = [fingerprints_of(RerankFirst(str(one))) for one in (folder, other)]
    assert [list(mark) for mark in marks] == [[f"rerank_first:{f}"] for f in (folder, other)]
    assert len({value for mark in marks for value in mark.values()}) == 2


@pytest.mark.parametrize(
    ("step", "kind", "message"),
    [
        (RerankFirst("nowhere"), ModelError, "nowhere is not a model's folder"),
        (RerankFirst(""), PlanError, "model must be the name of a folder"),
        (RerankFirst(3), PlanError, "model must be the name of a folder"),  # type: ignore[arg-type]
        (RerankFirst("m", k=0), PlanError, "k must be a whole number from 1 to 1,000"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    step: Step, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        step.check()
    assert message in str(error.value)
