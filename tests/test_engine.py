"""The engine: what comes out for a row, whatever the window, the order and the faults."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmaug as la
from llmaug.cache import ReplyCache
from llmaug.engine import Engine
from llmaug.errors import (
    BackendStopped,
    CacheError,
    PlanError,
    RequestRefused,
    RowsFailed,
    TextError,
    Unavailable,
)
from llmaug.outcome import Outcome, Row
from llmaug.testing import FakeBackend
from llmaug.text import BadRow, Text, record

PLAN = "keep() + paraphrase(n=3) >> dedupe()"


def rows(count: int) -> list[Row]:
    return [
        Row(i, Text(f"text number {i} with some words", f"r{i}", f"r{i}", meta={"label": i % 2}))
        for i in range(count)
    ]


def outcomes(plan: str, given: list[Row], backend: Any = None, **options: Any) -> list[Outcome]:
    done: list[Outcome] = []
    backends = {"lm": backend or FakeBackend()}

    async def run() -> None:
        engine = Engine(la.parse(plan), backends=backends, **options)
        try:
            await engine.run(given, done.append)
        finally:
            await engine.close()

    asyncio.run(run())
    return sorted(done, key=lambda outcome: outcome.row)


def test_results_do_not_depend_on_window_or_order() -> None:
    expected = outcomes(PLAN, rows(40))
    shuffled = rows(40)
    random.Random(1).shuffle(shuffled)
    for window in (1, 3, 64):
        assert outcomes(PLAN, shuffled, FakeBackend(latency=0.001), window=window) == expected


def test_a_seed_changes_the_variants_and_only_them() -> None:
    one, two = outcomes("paraphrase()", rows(5)), outcomes("paraphrase()", rows(5), seed=1)
    assert [o.root for o in one] == [o.root for o in two]
    assert [o.texts for o in one] != [o.texts for o in two]


def test_samples_of_one_prompt_differ() -> None:
    texts = outcomes("paraphrase(n=4)", rows(1))[0].texts
    assert len({text.text for text in texts}) == 4


def test_every_text_says_its_root_and_how_it_was_made() -> None:
    original, *variants = outcomes(PLAN, rows(1))[0].texts
    assert (original.id, original.root, original.made_by) == ("r0", "r0", "")
    for number, variant in enumerate(variants):
        assert variant.id == f"r0/paraphrase.{number}"
        assert variant.root == "r0"
        assert variant.made_by.startswith("paraphrase(n=3)@")
        assert variant.meta == {"label": 0}


def test_a_chain_of_methods_is_recorded_as_a_chain() -> None:
    text = outcomes("paraphrase() >> edit('case', rate=0.5)", rows(1))[0].texts[0]
    first, second = text.made_by.split(" >> ")
    assert first.startswith("paraphrase()@")
    assert second == "edit('case', rate=0.5)"
    assert text.id == "r0/paraphrase.0/edit.0"


def test_equal_ids_are_told_apart() -> None:
    ids = [t.id for t in outcomes("keep() + keep()", rows(1))[0].texts]
    assert ids == ["r0", "r0~2"]


def test_no_more_requests_than_the_window_are_in_flight() -> None:
    most = now = 0

    class Counting(FakeBackend):
        async def complete(self, request: la.Request) -> la.Reply:
            nonlocal most, now
            now += 1
            most = max(most, now)
            reply = await super().complete(request)
            now -= 1
            return reply

    outcomes("paraphrase(n=4)", rows(30), Counting(latency=0.002), window=7)
    assert most == 7


def test_equal_requests_in_flight_become_one() -> None:
    same = [Row(i, Text("the same text", f"r{i}", f"r{i}")) for i in range(20)]
    backend = FakeBackend(latency=0.01)
    done = outcomes("paraphrase(n=2)", same, backend)
    assert backend.asked == 2
    assert len({tuple(t.text for t in o.texts) for o in done}) == 1
    assert [o.root.id for o in done if o.root] == [f"r{i}" for i in range(20)]


def test_the_cache_pays_once(tmp_path: Path) -> None:
    def run() -> tuple[list[Outcome], int]:
        backend = FakeBackend()
        cache = ReplyCache(tmp_path / "c.sqlite")
        try:
            return outcomes(PLAN, rows(20), backend, cache=cache), backend.asked
        finally:
            cache.close()

    first, paid = run()
    again, paid_again = run()
    assert again == first
    assert (paid, paid_again) == (60, 0)


def test_another_endpoint_or_seed_is_another_key(tmp_path: Path) -> None:
    for parameters, seed in (
        ({"endpoint": "a"}, 0),
        ({"endpoint": "b"}, 0),
        ({"endpoint": "a"}, 1),
    ):
        cache = ReplyCache(tmp_path / "c.sqlite")
        backend = FakeBackend()
        backend.parameters = parameters
        outcomes("paraphrase()", rows(1), backend, cache=cache, seed=seed)
        cache.close()
        assert backend.asked == 1
    cache = ReplyCache(tmp_path / "c.sqlite")
    assert len(cache) == 3
    cache.close()


def test_a_reply_that_was_cut_off_is_not_stored_and_dropped_with_its_reason(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "c.sqlite")
    try:
        done = outcomes(
            "paraphrase(n=2)",
            rows(1),
            FakeBackend(lambda r: la.Reply("cut o", "length")),
            cache=cache,
        )
        assert len(cache) == 0
    finally:
        cache.close()
    assert [drop.reason for drop in done[0].drops] == ["truncated", "truncated"]
    assert done[0].drops[0].text.made_by.startswith("paraphrase(n=2)@")


def test_a_reply_that_does_not_fit_is_drawn_again_with_a_new_sample() -> None:
    seen: list[int] = []

    def answer(request: la.Request) -> str:
        seen.append(request.attempt)
        return "" if request.attempt < 2 else "fits now"

    done = outcomes("generate('paraphrase')", rows(1), FakeBackend(answer))
    assert seen == [0, 1, 2]
    assert done[0].texts[0].text == "fits now"


def test_a_sample_that_never_fits_is_a_drop_and_none_at_all_a_failure() -> None:
    done = outcomes(
        "generate('paraphrase', n=2)", rows(1), FakeBackend(lambda r: "" if r.sample else "ok")
    )
    assert [t.text for t in done[0].texts] == ["ok"]
    assert [d.reason for d in done[0].drops] == ["unfit reply"]
    done = outcomes("generate('paraphrase', n=2)", rows(1), FakeBackend(lambda r: ""))
    assert done[0].failure is not None
    assert done[0].failure.error == "ReplyError"
    assert "empty" in done[0].failure.message


def test_one_refused_row_fails_alone() -> None:
    def answer(request: la.Request) -> str:
        if "number 3 " in request.messages[-1].content:
            raise RequestRefused("too long for the model's context")
        return "fine"

    done = outcomes(PLAN, rows(6), FakeBackend(answer))
    assert [o.row for o in done if o.failure] == [3]
    failure = done[3].failure
    assert failure is not None
    assert (failure.root, failure.error) == ("r3", "RequestRefused")


def test_a_fault_in_a_callable_of_the_user_is_that_rows_failure() -> None:
    def embed(texts: list[str]) -> np.ndarray:
        raise ValueError("no such layer")

    done = outcomes("paraphrase() >> similar(min=0.1)", rows(2), embed=embed)
    assert [o.failure.message for o in done if o.failure] == ["ValueError: no such layer"] * 2


def test_a_bad_row_is_a_failure_with_file_and_line() -> None:
    done = outcomes(PLAN, [Row(0, BadRow("in.jsonl", 7, "broken JSON", "in.jsonl:7: broken"))])
    failure = done[0].failure
    assert failure is not None
    assert (failure.file, failure.line, failure.error) == ("in.jsonl", 7, "broken JSON")


def test_a_wrong_key_stops_the_run_at_once() -> None:
    backend = FakeBackend()

    def answer(request: la.Request) -> str:
        raise BackendStopped("the server refuses the key; set LLMAUG_API_KEY")

    backend.answer = answer
    with pytest.raises(BackendStopped, match="LLMAUG_API_KEY"):
        outcomes(PLAN, rows(500), backend)
    assert backend.asked < 500


def test_transient_errors_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    failures = iter(
        [
            Unavailable("500"),
            Unavailable("429", retry_after=0.01, overload=True),
            Unavailable("refused", answered=False),
        ]
    )

    def answer(request: la.Request) -> str:
        for error in failures:
            raise error
        return "back"

    done = outcomes("paraphrase()", rows(1), FakeBackend(answer))
    assert [t.text for t in done[0].texts] == ["back"]


def test_a_request_that_always_fails_is_given_up_while_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_waiting(monkeypatch)

    def answer(request: la.Request) -> str:
        if "number 1 " in request.messages[-1].content:
            raise Unavailable("HTTP 500")
        return "fine"

    backend = FakeBackend(answer)
    done = outcomes("paraphrase()", rows(2), backend)
    assert backend.asked == 9
    assert done[0].failure is None
    assert done[1].failure is not None
    assert "given up after 8 tries: HTTP 500" in done[1].failure.message


def test_a_row_that_is_always_turned_away_does_not_stop_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_waiting(monkeypatch)

    def answer(request: la.Request) -> str:
        if "number 1 " in request.messages[-1].content:
            raise Unavailable("HTTP 503", overload=True)
        return "fine"

    backend = FakeBackend(answer, latency=0.05)
    done = outcomes("paraphrase()", rows(60), backend, patience=0.2, window=8)
    assert [o.row for o in done if o.failure] == [1]


def test_in_an_outage_no_row_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)

    def answer(request: la.Request) -> str:
        raise Unavailable("HTTP 502 from the proxy")

    with pytest.raises(BackendStopped, match=r"has given no reply.*HTTP 502"):
        outcomes("paraphrase()", rows(30), FakeBackend(answer), patience=0.3)


def test_a_cancelled_request_leaves_equal_ones_alone() -> None:
    @dataclass(frozen=True, repr=False)
    class Hasty(la.Step):
        async def apply(self, texts: list[Text], ctx: Any) -> list[Text]:
            request = la.Request((la.Message("user", "the same"),))
            wait = 0.01 if ctx.root.id == "r0" else 1.0
            async with asyncio.timeout(wait):
                (reply,) = await ctx.complete([request])
            return [texts[0].derive(reply.text, made_by="hasty()", id="x")]

    done: list[Outcome] = []
    engine = Engine(Hasty(), backends={"lm": FakeBackend(latency=0.05)})
    asyncio.run(engine.run(rows(4), done.append))
    assert sorted(o.row for o in done if not o.failure) == [1, 2, 3]
    assert [o.failure.error for o in done if o.failure] == ["TimeoutError"]


def test_a_second_pass_over_an_output_gives_ids_of_its_own(tmp_path: Path) -> None:
    texts = [Text("one two three", "r1", "r1")]
    ids: list[list[str]] = []
    for number in range(3):
        made = list(la.augment("keep() + edit('swap')", texts))
        ids.append([text.id for text in made])
        path = tmp_path / f"{number}.jsonl"
        la.write(path, map(record, made), fields=[])
        texts = list(la.read(path))
    assert ids[0] == ["r1", "r1/edit.0"]
    assert ids[1] == ["r1", "r1//edit.0", "r1/edit.0", "r1/edit.0//edit.0"]
    for made_ids in ids:
        assert len(set(made_ids)) == len(made_ids)


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "truncated"), ("content_filter", "refusal")]
)
def test_an_empty_reply_that_was_ended_early_is_a_drop(finish: str, reason: str) -> None:
    backend = FakeBackend(lambda request: la.Reply("", finish))
    done = outcomes("paraphrase(n=2)", rows(1), backend)
    assert backend.asked == 2
    assert done[0].failure is None
    assert [drop.reason for drop in done[0].drops] == [reason, reason]


def test_a_server_that_stays_away_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)

    def answer(request: la.Request) -> str:
        raise Unavailable("connection refused", answered=False)

    with pytest.raises(BackendStopped, match="has given no reply"):
        outcomes("paraphrase()", rows(1), FakeBackend(answer), patience=0.05)


def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back off for a hundredth of the time."""
    monkeypatch.setattr("llmaug.calls.random.uniform", lambda low, high: 0.01)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("paraphrase() >> similar(min=0.5)", "needs an embedder; give one with --embedder"),
        ("generate('paraphrase', role='judge')", "for the role 'judge'"),
    ],
)
def test_what_a_plan_needs_is_asked_for_before_the_first_request(plan: str, says: str) -> None:
    backend = FakeBackend()
    with pytest.raises(PlanError, match=says):
        outcomes(plan, rows(1), backend)
    assert backend.asked == 0


def test_a_cache_of_another_version_or_kind_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "c.sqlite"
    ReplyCache(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(CacheError, match=r"is of format 99, this version reads 1.*--cache"):
        ReplyCache(path)
    (tmp_path / "x").write_text("not a database, and long enough to be looked at" * 50)
    with pytest.raises(CacheError, match="cannot be used"):
        ReplyCache(tmp_path / "x")
    with pytest.raises(CacheError, match="does not exist"):
        ReplyCache(tmp_path / "no" / "c.sqlite")


def test_augment_keeps_the_order_and_streams() -> None:
    made = la.augment(
        "keep() + paraphrase()",
        (f"text {i} of many words" for i in range(300)),
        lm=FakeBackend(latency=0.001),
    )
    roots = [text.root for text in made]
    assert roots == [str(i) for i in range(300) for _ in (0, 1)]


def test_a_backend_object_stays_loaded_between_calls() -> None:
    class Counting(FakeBackend):
        closed = 0

        async def close(self) -> None:
            self.closed += 1

    backend = Counting()
    for _ in range(3):
        assert list(la.augment("paraphrase()", ["a b c"], lm=backend))
    assert backend.closed == 0


def test_two_streams_at_once_share_a_backend() -> None:
    backend = FakeBackend(latency=0.01)
    one = la.augment("paraphrase()", ["a b c", "d e f"], lm=backend)
    two = la.augment("paraphrase()", ["g h i"], lm=backend)
    assert [next(one).root, next(two).root, next(one).root] == ["0", "0", "1"]
    one.close()
    two.close()


def test_one_augment_may_feed_another() -> None:
    lm = FakeBackend(latency=0.001)
    first = la.augment("paraphrase()", [f"text {i} of words" for i in range(30)], lm=lm)
    second = list(la.augment("paraphrase(n=2)", (v.text for v in first), lm=lm))
    assert [v.root for v in second] == [str(i) for i in range(30) for _ in (0, 1)]


@pytest.mark.parametrize("window", [1, 64])
def test_a_reply_that_cannot_be_stored_fails_its_row_alone(tmp_path: Path, window: int) -> None:
    def answer(request: la.Request) -> str:
        return "a \ud83d b" if "number 2 " in request.messages[-1].content else "fine"

    cache = ReplyCache(tmp_path / "c.sqlite")
    try:
        done = outcomes("paraphrase()", rows(6), FakeBackend(answer), cache=cache, window=window)
    finally:
        cache.close()
    assert [o.row for o in done if o.failure] == [2]


def test_a_cancellation_inside_a_backend_is_its_rows_failure() -> None:
    def answer(request: la.Request) -> str:
        if "number 2 " in request.messages[-1].content:
            raise asyncio.CancelledError
        return "fine"

    done = outcomes("paraphrase()", rows(6), FakeBackend(answer))
    assert len(done) == 6
    assert [o.row for o in done if o.failure] == [2]


@pytest.mark.parametrize(
    ("options", "says"),
    [({"window": -1}, "window must be at least 1"), ({"seed": 10**30}, "does not fit 64 bits")],
)
def test_a_senseless_window_or_seed_is_refused(options: dict[str, int], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        la.augment("paraphrase()", ["x"], lm="fake:", **options)  # type: ignore[arg-type]


def test_texts_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(TextError, match=r"write \[text\]"):
        la.augment("keep()", "one string")
    with pytest.raises(TextError, match="text 1 is a int"):
        list(la.augment("keep()", ["a", 7]))  # type: ignore[list-item]
    with pytest.raises(RowsFailed, match="text 0 is empty"):
        list(la.augment("keep()", [" "]))


def test_augment_can_be_left_early_and_run_inside_a_running_loop() -> None:
    def endless() -> Any:
        number = 0
        while True:
            yield f"text {number}"
            number += 1

    async def notebook() -> str:
        for text in la.augment("paraphrase()", endless(), lm="fake:"):
            return text.root
        return "none"

    assert asyncio.run(notebook()) == "0"


def test_augment_lists_failures_or_raises_after_the_last_variant() -> None:
    def answer(request: la.Request) -> str:
        if "bad" in request.messages[-1].content:
            raise RequestRefused("no")
        return "a b"

    failed: list[Any] = []
    texts = ["good", "bad", "good too"]
    made = list(la.augment("paraphrase()", texts, lm=FakeBackend(answer), failed=failed))
    assert [t.root for t in made] == ["0", "2"]
    assert [f.root for f in failed] == ["1"]
    stream = la.augment("paraphrase()", texts, lm=FakeBackend(answer))
    assert next(stream).root == "0"
    assert next(stream).root == "2"
    with pytest.raises(RowsFailed, match="1 of 3 rows failed; the first: 1: no"):
        next(stream)
