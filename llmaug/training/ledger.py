"""A folder of artefacts, made stage by stage, and the manifest that says what is finished."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import PlanError, ResumeRefused, RunError, did_you_mean
from llmaug.formats.atomic import new_file
from llmaug.job import versions
from llmaug.journal import explained, shown
from llmaug.training.folder_lock import LOCK, locked
from llmaug.training.ledger_files import (
    as_json,
    changed,
    difference,
    digest_of,
    files_in,
    read_entries,
)

MANIFEST, WORK = "manifest.json", "work"
FORMAT = "llmaug training folder 1"
STAGES = ("generate", "filter", "mine", "train", "gate", "index", "evaluate")


class Stage:
    """One stage of a recipe and its folder.

    With `done`, it was finished before: its files are there and `counts` are those of then.
    Otherwise its artefacts go into `folder`, what an interrupted run goes on from into `work`
    (inside `folder`, gone when the stage is finished), and what was counted into `counts`.
    `digest` is of its inputs and files, for the inputs of later stages; empty until finished.
    """

    def __init__(self, folder: Path, *, counts: Mapping[str, Any], digest: str) -> None:
        self.folder, self.work = folder, folder / WORK
        self.counts: dict[str, Any] = dict(counts)
        self.digest = digest
        self.done = bool(digest)


class Ledger:
    """What of a recipe is finished, in a folder with a folder for each of its stages.

    `manifest.json` holds the versions, the recipe as it was last run and, for each stage, its
    inputs and, once finished, its files with sizes and SHA-256, seconds and counts. `fresh`
    forgets and deletes all stages, `fresh_from` one and those that come after it in `stages`.
    Nothing is deleted that no stage made. Use it as a context manager: until its end no other
    process can work in the folder, which raises `RunBusy` there.
    """

    def __init__(
        self,
        folder: str | Path,
        recipe: Mapping[str, Any],
        *,
        stages: Sequence[str] = STAGES,
        fresh: bool = False,
        fresh_from: str | None = None,
    ) -> None:
        self.folder, self.stages = Path(folder), tuple(stages)
        self._recipe = dict(recipe)
        if fresh_from is not None and fresh_from not in self.stages:
            raise PlanError(f"no stage {fresh_from!r}; {did_you_mean(fresh_from, self.stages)}")
        with explained(self.folder):
            self.folder.mkdir(exist_ok=True)
        self._refuse_others()
        self._lock = locked(self.folder)
        try:
            self._entries: dict[str, dict[str, Any]] = read_entries(
                self.folder / MANIFEST, format=FORMAT
            )
            self._forget({n for n, entry in self._entries.items() if entry.get("deleting")})
            if fresh or fresh_from is not None:
                self.forget(None if fresh else fresh_from)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes work in the folder."""
        os.close(self._lock)

    def forget(self, first: str | None = None) -> None:
        """Delete a stage and those that come after it in `stages`, or all of them."""
        kept = () if first is None else self.stages[: self.stages.index(first)]
        self._forget(self._entries.keys() - {*kept})

    def finished(self, name: str) -> bool:
        """Whether the stage was brought to an end, with whatever inputs."""
        return "files" in self._entries.get(name, {})

    @contextlib.contextmanager
    def stage(self, name: str, *, inputs: Mapping[str, Any]) -> Iterator[Stage]:
        """A stage, done already or to be done in the block.

        `inputs` is everything that decides its result, as JSON: its settings and the digests of
        the stages that it reads. When the block ends without an error, every file in the stage's
        folder is recorded. Raises `ResumeRefused`, naming the first difference, where the stage
        was begun with other inputs, and `RunError` where a finished one's file was changed.
        """
        if name not in self.stages:
            raise PlanError(f"no stage {name!r}; {did_you_mean(name, self.stages)}")
        inputs = orjson.loads(as_json(inputs))
        entry = self._entries.get(name)
        if entry is not None:
            self._check_inputs(name, entry["inputs"], inputs)
        folder = self.folder / name
        if entry is not None and "files" in entry and self._whole(name, entry["files"]):
            self._discard(folder / WORK)
            yield Stage(folder, counts=entry["counts"], digest=entry["digest"])
            return
        self._begin(name, inputs, known=entry is not None)
        stage, began = Stage(folder, counts={}, digest=""), time.monotonic()
        yield stage
        with explained(folder):
            files = files_in(folder, but=WORK)
        stage.digest = digest_of({"inputs": inputs, "files": files})
        stage.counts = orjson.loads(as_json(stage.counts))  # as they will be read
        self._entries[name] = {
            "inputs": inputs,
            "files": files,
            "digest": stage.digest,
            "seconds": round(time.monotonic() - began, 3),
            "counts": stage.counts,
        }
        self._write()
        self._discard(stage.work)

    def _check_inputs(self, name: str, old: Any, new: Any) -> None:
        field, there, now = difference(old, new)
        if field:
            raise ResumeRefused(
                f"{self.folder}: the stage {name} was begun with another {field}: {shown(there)} "
                f"there, {shown(now)} now; use --fresh-from {name} to do it and what follows "
                "again, or another output"
            )

    def _whole(self, name: str, files: Mapping[str, Any]) -> bool:
        """Whether the files of a finished stage are all there; one that is changed is refused."""
        folder = self.folder / name
        for file, recorded in files.items():
            wrong = changed(folder / file, recorded)
            if wrong == "missing":
                return False
            if wrong:
                raise RunError(
                    f"{folder / file} {wrong} since the stage {name} wrote it; put it back, or "
                    f"use --fresh-from {name} to write it again"
                )
        return True

    def _begin(self, name: str, inputs: Mapping[str, Any], *, known: bool) -> None:
        if not known and os.path.lexists(self.folder / name):
            raise RunError(
                f"{self.folder / name} is there, and no stage made it; move it away, or name "
                "another output"
            )
        self._entries[name] = {"inputs": inputs}
        self._write()
        with explained(self.folder / name):
            (self.folder / name / WORK).mkdir(parents=True, exist_ok=True)

    def _write(self) -> None:
        order = sorted(self._entries, key=self._place)
        manifest = {
            "format": FORMAT,
            "versions": versions(),
            "recipe": self._recipe,
            "stages": {name: self._entries[name] for name in order},
        }
        with new_file(self.folder / MANIFEST) as unfinished:
            unfinished.write_bytes(as_json(manifest))

    def _place(self, name: str) -> int:
        return self.stages.index(name) if name in self.stages else len(self.stages)

    def _forget(self, names: Collection[str]) -> None:
        """Delete stages, marked first, so that after a crash no half of one is left unnoticed."""
        if not names:
            return
        self._entries.update({name: {"deleting": True} for name in names})
        self._write()
        for name in names:
            self._discard(self.folder / name)
            del self._entries[name]
        self._write()

    def _discard(self, folder: Path) -> None:
        with explained(folder):
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                shutil.rmtree(folder)

    def _refuse_others(self) -> None:
        """Raise `RunError` for a folder with something in it that is no training folder."""
        with explained(self.folder):
            names = {one.name for one in self.folder.iterdir() if one.name != LOCK}
        names = {name for name in names if not name.endswith(".part")}  # of a crash
        if names and MANIFEST not in names:
            raise RunError(
                f"{self.folder} holds {min(names)} and no {MANIFEST}, so it is no folder of "
                "artefacts; name another output"
            )
