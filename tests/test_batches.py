from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.training.batches import Course, Row, schedule
from llmaug.training.settings import TrainingSettings

ROWS = st.lists(
    st.builds(
        Row,
        st.sampled_from(["human", "synthetic"]),
        st.floats(-1, 1),
        st.sampled_from("abcdefgh"),
        st.integers(0, 20).map(str),
    ),
    max_size=60,
)
CURRICULA = st.sampled_from(["shuffled", "easy_to_hard", "cyclic"])


def distinct(count: int, *, human: int = 0) -> list[Row]:
    """Rows that may all be in one batch; difficulty falls with the place."""
    return [
        Row("human" if n < human else "synthetic", -n / count, f"d{n}", f"q{n}")
        for n in range(count)
    ]


@given(ROWS, CURRICULA, st.integers(1, 9), st.integers(0, 3))
def test_every_row_once_and_nothing_twice_in_a_batch(
    rows: list[Row], curriculum: str, size: int, epoch: int
) -> None:
    settings = TrainingSettings(batch=size, curriculum=curriculum, seed=7)
    batches = schedule(rows, settings, epoch=epoch)
    assert sorted(place for batch in batches for place in batch) == list(range(len(rows)))
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert len({rows[place].document for place in batch}) == len(batch)
        assert len({rows[place].query for place in batch}) == len(batch)
    assert batches == schedule(rows, settings, epoch=epoch)


@given(ROWS, st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 3))
def test_ratio_takes_all_human_and_a_share_of_synthetic(
    rows: list[Row], ratio: float, epoch: int
) -> None:
    batches = schedule(rows, TrainingSettings(batch=5, ratio=ratio), epoch=epoch)
    found = Counter(rows[place].origin for batch in batches for place in batch)
    there = Counter(row.origin for row in rows)
    assert found["human"] == there["human"]
    assert found["synthetic"] == min(round(ratio * there["human"]), there["synthetic"])


@given(ROWS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 30), CURRICULA)
def test_processes_share_the_batches_of_one(
    rows: list[Row], size: int, processes: int, start: int, curriculum: str
) -> None:
    settings = TrainingSettings(batch=size, epochs=3, curriculum=curriculum)
    courses = [
        Course(rows, settings, processes=processes, process=process) for process in range(processes)
    ]
    whole = [list(course) for course in courses]
    for epoch, end in enumerate(courses[0].ends):
        batches = schedule(rows, settings, epoch=epoch, processes=processes)
        before = courses[0].ends[epoch - 1] if epoch else 0
        for step, batch in zip(range(before, end), batches, strict=True):
            assert [place for of_one in whole for place in of_one[step]] == batch
            assert len({len(of_one[step]) for of_one in whole}) == 1
    for course, steps in zip(courses, whole, strict=True):
        assert len(course) == len(steps)
        course.start = start
        assert list(course) == steps[start:]


def test_without_repeats_only_the_last_batch_is_smaller() -> None:
    sizes = [len(batch) for batch in schedule(distinct(11), TrainingSettings(batch=4), epoch=0)]
    assert sizes == [4, 4, 3]


def test_epochs_and_seeds_differ_and_a_new_draw_is_made() -> None:
    rows = distinct(40, human=10)
    settings = TrainingSettings(batch=8)
    assert schedule(rows, settings, epoch=0) != schedule(rows, settings, epoch=1)
    assert schedule(rows, settings, epoch=0) != schedule(
        rows, TrainingSettings(batch=8, seed=1), epoch=0
    )
    drawn = [
        {place for batch in schedule(rows, TrainingSettings(ratio=1), epoch=n) for place in batch}
        for n in (0, 1)
    ]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("parts", [{}, {"ratio": None}, {"ratio": 3.0}, {"cycles": 9}])
def test_parts_that_are_off_change_nothing(parts: dict[str, Any]) -> None:
    rows = distinct(40, human=10)  # ratio 3 takes all there are
    plain = schedule(rows, TrainingSettings(batch=8), epoch=2)
    assert schedule(rows, TrainingSettings(batch=8, **parts), epoch=2) == plain


def difficulties(curriculum: str, **parts: Any) -> list[float]:
    rows = distinct(60)
    settings = TrainingSettings(batch=7, curriculum=curriculum, **parts)
    return [
        rows[place].difficulty for batch in schedule(rows, settings, epoch=0) for place in batch
    ]


def test_easy_comes_before_hard() -> None:
    found = difficulties("easy_to_hard")
    assert found == sorted(found)


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_cyclic_goes_from_easy_to_hard_several_times(cycles: int) -> None:
    found = difficulties("cyclic", cycles=cycles)
    length = 60 // cycles
    for start in range(0, 60, length):
        assert found[start : start + length] == sorted(found[start : start + length])
    falls = sum(later < earlier for earlier, later in pairwise(found))
    assert falls == cycles - 1


def test_a_document_of_most_rows_takes_a_batch_each() -> None:
    rows = [Row("human", 0.0, "same", f"q{n}") for n in range(3000)]
    rows += [Row("human", 0.0, f"d{n}", f"other{n}") for n in range(3000)]
    batches = schedule(rows, TrainingSettings(batch=4), epoch=0)
    assert len(batches) == 3000
    assert sum(map(len, batches)) == 6000


def test_steps_end_the_course_early() -> None:
    course = Course(distinct(20), TrainingSettings(batch=4, epochs=3, steps=7))
    assert (course.ends, course.steps, len(list(course))) == ([5, 10, 15], 7, 7)
    assert Course(distinct(20), TrainingSettings(batch=4, steps=99)).steps == 5
