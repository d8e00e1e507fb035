"""Hugging Face datasets on disk, as `save_to_disk` leaves them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import MissingExtra, TextError, did_you_mean
from llmaug.formats import arrow
from llmaug.formats.source import RawRow

ROWS = 1_024  # rows in memory at once
DATASET, SPLITS = "dataset_info.json", "dataset_dict.json"


def library() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "datasets") from None
    return datasets


class SavedDataset:
    """The rows of one dataset; of one of its splits where the folder holds several."""

    text_field = "text"
    lined = False

    def __init__(self, folder: Path, *, split: str | None = None) -> None:
        self.path = _split_folder(folder, split)
        self._dataset = self._loaded()

    def _loaded(self) -> Any:
        datasets = library()
        try:
            return datasets.load_from_disk(str(self.path)).with_format("arrow")
        except (OSError, ValueError, LookupError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise TextError(
                f"{self.path} is not a dataset made by save_to_disk: {reason}"
            ) from None

    def columns(self) -> Sequence[str]:
        return list(self._dataset.column_names)

    def rows(self) -> Iterator[RawRow]:
        done = 0
        for batch in self._dataset.iter(batch_size=ROWS):
            yield from enumerate(arrow.rows_of(batch), done + 1)
            done += batch.num_rows

    def files(self) -> list[Path]:
        # The library leaves caches of its own in the folder; they are not part of the rows.
        return [
            file
            for file in self.path.iterdir()
            if file.is_file() and not file.name.startswith(("cache-", "tmp", "."))
        ]

    def row_estimate(self) -> int:
        return int(self._dataset.num_rows)


def _split_folder(folder: Path, split: str | None) -> Path:
    if not (folder / SPLITS).is_file():
        if split is not None:
            raise TextError(f"{folder} has no splits; leave #{split} away")
        return folder
    try:
        splits = [str(name) for name in orjson.loads((folder / SPLITS).read_bytes())["splits"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise TextError(
            f"{folder / SPLITS} does not list its splits; save the dataset again"
        ) from None
    if split is None and len(splits) == 1:
        return folder / splits[0]
    if split is None:
        raise TextError(
            f"{folder} has several splits; name one: "
            + ", ".join(f"{folder}#{name}" for name in splits)
        )
    if split not in splits:
        raise TextError(f"{folder} has no split {split!r}; {did_you_mean(split, splits)}")
    return folder / split


def is_dataset(folder: Path) -> bool:
    return (folder / DATASET).is_file() or (folder / SPLITS).is_file()


def write_dataset(folder: Path, rows: Iterable[Mapping[str, Any]], *, fields: Sequence[str]) -> int:
    """A dataset that `datasets.load_from_disk` reads; typed as in Parquet, without the marks."""
    datasets, pa = library(), arrow.library()
    stream = folder.with_name(folder.name + ".arrow")
    try:
        with arrow.spooled(rows, fields=fields, beside=folder) as spool:
            schema = spool.schema(marked=False)
            with stream.open("wb") as file, pa.ipc.new_stream(file, schema) as writer:
                for batch in spool.batches(schema):
                    writer.write_batch(batch)
                if not spool.count:  # the library opens no stream without a batch
                    writer.write_batch(
                        pa.record_batch(
                            [pa.array([], field.type) for field in schema], schema=schema
                        )
                    )
        with _without_progress(datasets):
            datasets.Dataset.from_file(str(stream)).save_to_disk(
                str(folder), num_shards=None if spool.count else 1
            )
    finally:
        stream.unlink(missing_ok=True)
    return spool.count


@contextlib.contextmanager
def _without_progress(datasets: Any) -> Iterator[None]:
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
