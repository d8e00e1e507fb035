"""`llmaug evaluate`: what is named, what is printed, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from llmaug.cli.evaluate import evaluate, find_baseline, short_names, told_apart
from llmaug.errors import LlmaugError, OutputError, PlanError, TextError

app = typer.Typer()
app.command()(evaluate)

QUERIES = [f"q{number:02d}" for number in range(24)]


def write_run(path: Path, *places: int, count: int = len(QUERIES)) -> Path:
    """A ranking with the relevant document of each query at that place (cycled)."""
    lines = []
    for number, query in enumerate(QUERIES[:count]):
        documents = [f"{query}-{other}" for other in range(1, 6)]
        documents.insert(places[number % len(places)] - 1, f"{query}-good")
        lines += [f"{query} Q0 {d} {rank} {9 - rank} x\n" for rank, d in enumerate(documents, 1)]
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(lines))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where old.trec, new.trec, and a BEIR folder of judgements are; the current folder."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "old.trec", 2)
    write_run(tmp_path / "new.trec", 1, 2, 1)
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    judgements = "".join(f"{query}\t{query}-good\t1\n" for query in QUERIES)
    for split, text in (("test", judgements), ("dev", judgements[: len(judgements) // 24 * 12])):
        (tmp_path / "beir" / "qrels" / f"{split}.tsv").write_text(
            f"query-id\tcorpus-id\tscore\n{text}"
        )
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def printed(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.exception
    return result.stdout


def refused(*words: str) -> LlmaugError:
    """The error that the command line prints as one line."""
    error = run(*words).exception
    assert isinstance(error, LlmaugError), error
    assert "\n" not in str(error)
    return error


def test_runs_are_rows_and_measures_are_columns(folder: Path) -> None:
    heading, old, new, *rest = printed("old.trec", "new.trec", "--qrels", "beir").splitlines()
    assert heading.split() == ["ranking", "nDCG@10", "R@100", "MRR@10", "MAP"]
    assert old.split() == ["old", "0.6309", "1.0000", "0.5000", "0.5000"]
    assert new.split() == ["new", "0.8770", "1.0000", "0.8333", "0.8333"]
    assert rest == ["", "24 judged queries, 0 not answered, 0 answered without judgements"]


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "MRR@10", "P@5"),
        ("-m", "MRR@10,P@5"),
        ("-m", "MRR@10 P@5"),
        ("-m", "MRR@10", "-m", "P@5"),
        ("-m", "MRR@10", "P@5", "P@5"),
    ],
)
def test_several_measures_can_be_named_in_every_way(folder: Path, words: tuple[str, ...]) -> None:
    heading = printed("old.trec", "--qrels", "beir", *words).splitlines()[0]
    assert heading.split() == ["ranking", "MRR@10", "P@5"]


def test_a_word_that_names_a_file_is_a_run(folder: Path) -> None:
    write_run(folder / "MAP", 1)
    assert told_apart(["MAP", "P@5"], ["MRR@10"]) == ([Path("MAP")], ["MRR@10", "P@5"])


def test_commas_inside_brackets_do_not_part_measures(folder: Path) -> None:
    given = "P(rel=1,judged_only=True)@5, MAP"
    assert told_apart(["old.trec"], [given])[1] == ["P(rel=1,judged_only=True)@5", "MAP"]


def test_a_run_named_twice_is_one(folder: Path) -> None:
    assert told_apart(["old.trec", "./old.trec"], ["MAP"])[0] == [Path("old.trec")]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("nothere.trec",), TextError, "there is no file nothere.trec, and it is no"),
        (("old.trec", "nDGC@10"), TextError, "no measure is called 'nDGC'; did you mean nDCG"),
        (("beir",), TextError, "beir is a folder; give the files"),
        (("MAP",), TextError, "no run is named"),
        (("old.trec", "-m", "nDGC@10"), PlanError, "did you mean nDCG"),
        (("old.trec", "--as", "biir"), PlanError, "did you mean beir"),
        (("old.trec", "--split", "tset"), TextError, "no split 'tset'; did you mean test"),
        (("old.trec", "new.trec", "--baseline", "ald"), LlmaugError, "did you mean old"),
        (("old.trec", "--baseline", "old"), LlmaugError, "add a ranking to compare"),
        (("old.trec", "--per-query", "no/such.tsv"), OutputError, "make it first"),
        (("old.trec", "--per-query", "values.xyz"), OutputError, "no format that is written"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, words: tuple[str, ...], error: type[LlmaugError], message: str
) -> None:
    raised = refused(*words, "--qrels", "beir")
    assert isinstance(raised, error)
    assert message in str(raised)


def test_a_split_is_for_a_folder(folder: Path) -> None:
    shown = printed("old.trec", "--qrels", "beir", "--split", "dev")
    assert "12 judged queries, 0 not answered, 12 answered without judgements" in shown
    assert "leave it" in str(
        refused("old.trec", "--qrels", "beir/qrels/test.tsv", "--split", "dev")
    )


def test_the_baseline_gets_a_second_table(folder: Path) -> None:
    shown = printed("new.trec", "--qrels", "beir", "-m", "MRR@10", "--baseline", "old.trec")
    _, table = shown.split("MRR@10 against old\n")
    words = table.splitlines()[2].split()
    assert words[:2] == ["new", "+0.3333"]
    assert words[-2:] == ["16/0/8", f"{2.8016 * (0.5**2 * 2 / 9 * 24 / 23 / 24) ** 0.5:.4f}"]
    assert "paired over 24 judged queries" in table
    assert "could not be shown (80 % power" in table


@pytest.mark.parametrize("given", ["old", "old.trec", "./old.trec"])
def test_the_baseline_goes_by_path_or_name(folder: Path, given: str) -> None:
    assert find_baseline(given, [Path("new.trec"), Path("old.trec")]) in (
        Path("old.trec"),
        Path("./old.trec"),
    )


def test_a_name_of_two_runs_is_no_baseline(folder: Path) -> None:
    with pytest.raises(LlmaugError, match=r"could be a/x.run and b/x.run; give the path"):
        find_baseline("x", [Path("a/x.run"), Path("b/x.run")])


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/bm25.trec", "other/dense.run.gz"], ["bm25", "dense"]),
        (["a/x.trec", "b/x.trec", "b/y.trec"], ["a/x", "b/x", "y"]),
        (["x.trec", "x.run"], ["x.trec", "x.run"]),
        (["k0.9", "k1.5"], ["k0.9", "k1.5"]),
        ([".trec"], [".trec"]),
    ],
)
def test_names_are_as_short_as_can_be(paths: list[str], names: list[str]) -> None:
    assert short_names([Path(path) for path in paths]) == names


def test_names_of_files_are_no_markup_and_no_escapes(folder: Path) -> None:
    write_run(folder / "a[bold]b\x1b[31m.trec", 1)
    shown = printed("a[bold]b\x1b[31m.trec", "--qrels", "beir", "--baseline", "old.trec")
    assert "a[bold]b\\x1b[31m " in shown
    assert "\x1b" not in shown


def test_numbers_stay_whole_however_many_there_are(folder: Path) -> None:
    write_run(folder / f"{'long' * 40}.trec", 1)
    measures = [f"P@{cut}" for cut in range(1, 25)]
    shown = printed("old.trec", f"{'long' * 40}.trec", "--qrels", "beir", "-m", *measures)
    lines = [line.split() for line in shown.splitlines()[:3]]
    assert lines[0] == ["ranking", *measures]
    assert all(len(line) == 25 for line in lines)


def test_a_query_without_an_answer_is_said(folder: Path) -> None:
    write_run(folder / "some.trec", 1, count=18)
    words = ("old.trec", "some.trec", "--qrels", "beir", "-m", "MRR@10")
    shown = printed(*words)
    assert "some: 24 judged queries, 6 not answered (counted 0)" in shown
    assert "old: 24 judged queries, 0 not answered" in shown
    assert shown.splitlines()[2].split() == ["some", "0.7500"]
    assert printed(*words, "--as", "beir").splitlines()[2].split() == ["some", "1.0000"]


@pytest.mark.parametrize("ending", ["tsv", "jsonl"])
def test_every_query_can_be_written(folder: Path, ending: str) -> None:
    file = folder / f"values.{ending}"
    words = ("old.trec", "new.trec", "--qrels", "beir", "-m", "MRR@10", "P@5")
    assert "96 values of single queries" in run(*words, "--per-query", str(file)).stderr
    lines = file.read_text().splitlines()
    if ending == "tsv":
        assert lines[0] == "ranking\tmeasure\tquery\tvalue"
        assert lines[1] == "old\tMRR@10\tq00\t0.5"
        assert len(lines) == 97
    else:
        assert json.loads(lines[0]) == {
            "ranking": "old",
            "measure": "MRR@10",
            "query": "q00",
            "value": 0.5,
        }
        assert len(lines) == 96


def test_json_is_for_programs(folder: Path) -> None:
    words = ("new.trec", "--qrels", "beir", "-m", "MRR@10", "--json", "--baseline", "old.trec")
    shown = json.loads(printed(*words, "--seed", "3", "--resamples", "500"))
    assert [ranking["ranking"] for ranking in shown["rankings"]] == ["old", "new"]
    assert shown["rankings"][0]["mean"] == {"MRR@10": 0.5}
    assert (shown["comparison"]["seed"], shown["comparison"]["resamples"]) == (3, 500)
    (row,) = shown["comparison"]["rows"]
    assert (row["better"], row["worse"], row["equal"]) == (16, 0, 8)
    assert "comparison" not in json.loads(printed("new.trec", "--qrels", "beir", "--json"))
