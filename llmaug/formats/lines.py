"""Files of lines, one line at a time: plain, gzip or Zstandard; and plain text itself."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from llmaug.errors import MissingExtra, OutputError, TextError
from llmaug.formats.source import Fault, RawRow

LONGEST = 32 * 2**20  # bytes in a line; a longer one is a row that cannot be read
SAMPLE = 2**20  # bytes from which the number of rows is estimated
BOM = b"\xef\xbb\xbf"
# A few bytes of Zstandard may stand for a thousand times as many: small bites keep memory small.
BITE = 8 * 2**10


class LineFile:
    """A file whose rows are lines, whatever a line holds."""

    text_field = "text"
    lined = True

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.suffix.lower() == ".zst":
            zstandard()  # missing? say so before any work is done

    def columns(self) -> Sequence[str] | None:
        return None

    def files(self) -> list[Path]:
        return [self.path]

    def row_estimate(self) -> int | None:
        if self.path.suffix.lower() in (".gz", ".zst"):
            return None
        with reading(self.path) as file:
            sample = file.read(SAMPLE)
        lines = sample.count(b"\n") + (not sample.endswith(b"\n") and len(sample) < SAMPLE)
        size = self.path.stat().st_size
        return round(lines * max(1.0, size / max(1, len(sample))))


class PlainText(LineFile):
    """One text a line; an empty line is a row with an empty text."""

    def columns(self) -> Sequence[str]:
        return ("text",)

    def rows(self) -> Iterator[RawRow]:
        for number, line in numbered(self.path):
            if isinstance(line, Fault):
                yield number, line
                continue
            try:
                text = line.removesuffix(b"\n").removesuffix(b"\r").decode()
            except UnicodeDecodeError as error:
                yield number, invalid_utf8(error)
                continue
            yield (
                number,
                Fault("NUL byte", "the line holds a NUL byte") if "\0" in text else {"text": text},
            )


def write_plain_text(
    file: BinaryIO, rows: Iterable[Mapping[str, Any]], *, fields: Sequence[str]
) -> int:
    """One text a line and nothing else; a line break inside a text becomes a space."""
    count = 0
    for count, row in enumerate(rows, 1):
        text = str(row.get("text", "")).replace("\r\n", " ")
        try:
            file.write(text.replace("\n", " ").replace("\r", " ").encode() + b"\n")
        except UnicodeEncodeError:
            raise OutputError(
                f"row {count} holds half a surrogate pair, which is not a character; remove it"
            ) from None
    return count


def numbered(path: Path) -> Iterator[tuple[int, bytes | Fault]]:
    """The lines of a file from number 1, without the byte order mark, with their line ends."""
    with reading(path) as file:
        chunks = iter(functools.partial(file.readline, LONGEST), b"")
        number = 0
        for line in chunks:
            number += 1
            if number == 1 and line.startswith(BOM):
                line = line[len(BOM) :]
            if len(line) == LONGEST and not line.endswith(b"\n"):
                for rest in chunks:
                    if rest.endswith(b"\n"):
                        break
                yield number, Fault("line too long", f"the line has more than {LONGEST:,} bytes")
                continue
            yield number, line


def invalid_utf8(error: UnicodeDecodeError) -> Fault:
    byte = error.object[error.start]
    return Fault("invalid UTF-8", f"byte {error.start + 1} of the row (0x{byte:02x}) is not UTF-8")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file's content, unpacked; every way in which that fails is a `TextError`."""
    try:
        with _opened(path) as file:
            yield file
    except EOFError:
        raise TextError(
            f"{path} is cut off: the compressed file ends before its end mark; get or make it again"
        ) from None
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TextError(f"{path} cannot be read: {reason}") from None


def _opened(path: Path) -> BinaryIO:
    ending = path.suffix.lower()
    if ending == ".gz":
        return cast(BinaryIO, io.BufferedReader(cast(Any, gzip.open(path, "rb")), 2**17))
    if ending == ".zst":
        return cast(BinaryIO, io.BufferedReader(_Unpacked(path), 2**17))
    return path.open("rb", buffering=2**17)


class _Unpacked(io.RawIOBase):
    """The content of a .zst file; unlike the library's own reader it notices a missing end."""

    def __init__(self, path: Path) -> None:
        self._library = zstandard()
        self._packed = path.open("rb")
        self._frame: Any = None
        self._ready = memoryview(b"")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        while not self._ready:
            packed = self._rest or self._packed.read(BITE)
            self._rest = b""
            if not packed:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._frame = self._frame or self._library.ZstdDecompressor().decompressobj()
            try:
                self._ready = memoryview(self._frame.decompress(packed))
            except self._library.ZstdError as error:
                raise OSError(f"it is not sound Zstandard ({error})") from None
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, None
        target = memoryview(room)
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._packed.close()
        super().close()


def zstandard() -> Any:
    try:
        import zstandard as library
    except ImportError:
        raise MissingExtra("zstandard", "zstd") from None
    return library
