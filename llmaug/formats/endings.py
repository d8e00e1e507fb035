"""Which format a name stands for."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from llmaug.errors import OutputError, TextError
from llmaug.formats import arrow, huggingface
from llmaug.formats.atomic import check_file, check_folder, new_file, new_folder
from llmaug.formats.huggingface import SavedDataset, is_dataset, write_dataset
from llmaug.formats.jsonl import CORPUS, BeirCorpus, JsonLines, write_beir, write_json_lines
from llmaug.formats.lines import PlainText, write_plain_text, zstandard
from llmaug.formats.parquet import ParquetFile, write_parquet
from llmaug.formats.source import Source
from llmaug.formats.table import TAB, Table, write_table
from llmaug.formats.trec import Topics, looks_like_topics
from llmaug.formats.trec_documents import TrecDocuments, looks_like_documents

Rows = Iterable[Mapping[str, Any]]

READ_LINES: dict[str, Callable[[Path], Source]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".csv": Table,
    ".tsv": functools.partial(Table, delimiter=TAB),
    ".txt": PlainText,
    ".topics": Topics,
    ".trec": Topics,
}
WRITE_LINES: dict[str, Callable[..., int]] = {
    ".jsonl": write_json_lines,
    ".ndjson": write_json_lines,
    ".csv": write_table,
    ".tsv": functools.partial(write_table, delimiter=TAB),
    ".txt": write_plain_text,
}
PACKED = (".gz", ".zst")
LEVEL = 6  # of gzip
READABLE = (
    f"{', '.join(READ_LINES)} (each also with .gz or .zst), .parquet, TREC documents, "
    "a BEIR folder, a folder made by datasets.save_to_disk"
)
WRITABLE = (
    f"{', '.join(WRITE_LINES)} (each also with .gz or .zst), .parquet, .beir for a BEIR "
    "folder, .hf for a Hugging Face dataset"
)


def ending(path: Path) -> str:
    """The ending that says the format, in small letters, without that of the compression."""
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def source(name: str | Path) -> Source:
    """The rows behind a name; `FOLDER#SPLIT` is one split of a Hugging Face dataset."""
    path, split = Path(name), None
    if not path.exists() and "#" in path.name:
        folder, split = str(path).rsplit("#", 1)
        path = Path(folder)
    if not path.exists():
        raise TextError(f"{path} does not exist")
    if path.is_dir():
        return _folder(path, split)
    if split is not None:
        raise TextError(f"{path} is a file and has no splits; leave #{split} away")
    form = ending(path)
    if form == ".parquet" and path.suffix.lower() == ".parquet":
        return ParquetFile(path)
    if form not in READ_LINES or form in (".txt", ".trec"):
        if looks_like_topics(path):
            return Topics(path)
        if looks_like_documents(path):
            return TrecDocuments(path)
        if form == ".json":
            raise TextError(
                f"{path}: JSON is read as lines only; make them with: "
                f"jq -c '.[]' {path} > {path.with_suffix('.jsonl')}"
            )
    if form not in READ_LINES:
        raise TextError(f"{path}: the ending says no format that is read: {READABLE}")
    return READ_LINES[form](path)


def _folder(path: Path, split: str | None) -> Source:
    if is_dataset(path):
        return SavedDataset(path, split=split)
    if (path / CORPUS).is_file():
        return BeirCorpus(path)
    raise TextError(
        f"the folder {path} has neither {CORPUS} (BEIR) nor {huggingface.DATASET} "
        "(a Hugging Face dataset); name a file in it"
    )


def check_output(path: Path) -> None:
    """Raise the error that writing to this path would certainly end in."""
    form = ending(path)
    if path.suffix.lower() == ".zst":
        zstandard()
    if path.suffix.lower() in FOLDERS:
        if path.suffix.lower() == ".hf":
            huggingface.library()
        check_folder(path, ours=FOLDERS[path.suffix.lower()][1])
        return
    if path.suffix.lower() == ".parquet":
        arrow.library()
    elif form not in WRITE_LINES:
        raise OutputError(f"{path}: the ending says no format that is written: {WRITABLE}")
    check_file(path)


def write_rows(path: Path, rows: Rows, *, fields: Sequence[str]) -> int:
    """Write flat rows in the format that the name's ending says, whole or not at all."""
    check_output(path)
    suffix = path.suffix.lower()
    if suffix in FOLDERS:
        write, ours = FOLDERS[suffix]
        with new_folder(path, ours=ours) as folder:
            return write(folder, rows, fields=fields)
    with new_file(path) as unfinished:
        if suffix == ".parquet":
            return write_parquet(unfinished, rows, fields=fields)
        with packed(unfinished, suffix) as file:
            return WRITE_LINES[ending(path)](file, rows, fields=fields)


@contextlib.contextmanager
def packed(path: Path, suffix: str) -> Iterator[BinaryIO]:
    """A new file that packs what is written; the same content gives the same bytes."""
    with path.open("xb") as file:
        if suffix == ".gz":
            packed: Any = gzip.GzipFile("", "wb", LEVEL, file, mtime=0)
        elif suffix == ".zst":
            packed = zstandard().ZstdCompressor().stream_writer(file, closefd=False)
        else:
            yield file
            return
        with packed, io.BufferedWriter(packed, 2**17) as lines:
            yield cast(BinaryIO, lines)


def _our_dataset(name: str) -> bool:
    return bool(re.fullmatch(r"data-\d+-of-\d+\.arrow|dataset_info\.json|state\.json", name))


Folder = tuple[Callable[..., int], Callable[[str], bool]]  # how to write it, what may be in it
FOLDERS: dict[str, Folder] = {
    ".beir": (write_beir, lambda name: name == CORPUS),
    ".hf": (write_dataset, _our_dataset),
}
