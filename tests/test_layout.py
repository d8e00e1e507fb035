"""The shape of the project: imports go one way, start-up is light, the wheel is whole."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "vllm",
    "ray",
    "datasets",
    "pandas",
    "matplotlib",
    "aiohttp",
    "pyarrow",
    "numpy",
    "bm25s",
    "Stemmer",
    "scipy",
    "ir_measures",
    "pytrec_eval",
    "ir_datasets",
    "mteb",
    "pyterrier",
    "sklearn",
    "safetensors",
    "nlpaug",
    "peft",
)

# A module may import from its own line and those above it.
ORDER = (
    "errors garbage public_names",
    "formats text request",
    "control_tokens templates reply",
    "prompt_file",
    "prompt",
    "plan",
    "notation prompt_lint",
    "steps",
    "methods",
    "vocabulary",
    "gguf known_models model_sources models",
    "outcome journal",
    "backends cache pace gather run background",
    "calls",
    "context",
    "engine",
    "job interruption watch",
    "batch stream",
    "embedders significance",
    "classify retrieval",
    "training",
    "doctor",
    "scale report demo",
    "localserver testvectors testserver testing_step testing_backend testing",
    "cli",
)
RANK = {name: rank for rank, line in enumerate(ORDER) for name in line.split()}


def imported(path: Path) -> set[str]:
    """The modules of ours that a file imports anywhere in it, below `llmaug`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "llmaug":
            parts = str(node.module).split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("llmaug.")}
    return names & RANK.keys()


FILES = [
    *(
        p
        for p in (ROOT / "llmaug").rglob("*.py")
        if p.relative_to(ROOT / "llmaug").parts[0] != "__init__.py"
    ),
    *(ROOT / "cli").glob("*.py"),
]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    parts = path.relative_to(ROOT).parts
    own = "cli" if parts[0] == "cli" else parts[1].removesuffix(".py")
    assert own in RANK, f"{own} has no place in ORDER"
    for name in imported(path):
        assert RANK[name] <= RANK[own], f"{own} must not import {name}"


def test_classify_and_retrieval_do_not_know_each_other() -> None:
    for one, other in (("classify", "retrieval"), ("retrieval", "classify")):
        for path in (ROOT / "llmaug" / one).glob("*.py"):
            assert other not in imported(path), path


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_adaptors_are_imported_by_their_users_alone(path: Path) -> None:
    named = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            named |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        elif isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
    assert not named & {"llmaug.retrieval.mteb", "llmaug.retrieval.pyterrier"}


@pytest.mark.parametrize(
    "code",
    ["import llmaug", "import llmaug.cli", "import llmaug; llmaug.parse('keep() + paraphrase()')"],
)
def test_start_up_loads_nothing_heavy(code: str) -> None:
    check = f"{code}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_top_level_holds_only_what_was_agreed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {path.split("/")[0] for path in tracked} <= {
        "llmaug",
        "prompts",
        "cli",
        "tests",
        "benchmarks",
        "docs",
        ".ci",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "constraints.txt",
        ".gitignore",
    }


def test_the_wheel_runs_from_an_empty_directory(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(tmp_path / "dist"),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"llmaug"}
    for member in (
        "llmaug/cli/augment.py",
        "llmaug/prompts/paraphrase.prompty",
        "llmaug/demo/reviews.jsonl",
        "llmaug/prompts/doc2query_claim.prompty",
        "llmaug/prompts/promptagator.prompty",
        "llmaug/training/recipe.py",
        "llmaug/demo/help/qrels/test.tsv",
        "llmaug/py.typed",
    ):
        assert member in names
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    # The environment is empty but for the wheel; its dependencies are those of this one.
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--quiet",
            "--target",
            str(tmp_path / "site"),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    here = next(p for p in sys.path if p.endswith("site-packages"))
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "in.txt").write_text("one text\nanother text\n")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path / 'site')!r}]; sys.path.append({here!r}); "
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(f)]; "
        "sys.argv[0] = 'llmaug'; import llmaug; print(llmaug.__file__); "
        "from llmaug.cli import main; main()"
    )
    done = subprocess.run(
        [
            str(python),
            "-c",
            code,
            "augment",
            "keep() + paraphrase()",
            "in.txt",
            "-o",
            "out.jsonl",
            "--lm",
            "fake:",
        ],
        cwd=empty,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "site") in done.stdout
    assert len((empty / "out.jsonl").read_text().splitlines()) == 4
