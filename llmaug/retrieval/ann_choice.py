"""Which FAISS index suits a number of vectors and a memory budget, and what one needs.

| vectors           | index                                   | bytes a vector, d = 384 |
|-------------------|-----------------------------------------|-------------------------|
| up to 100,000     | `Flat`                                  | 1,536 (4d)              |
| up to 1,000,000   | `HNSW32`                                | 1,808 (4d + 272)        |
| more              | `IVF{n},PQ{d/2}x4fs,RFlat`              | 1,640 (4d + d/4 + 8)    |
| where that is too | `IVF{n},Flat`                           | 1,544 (4d + 8)          |
| large, the first  | `IVF{n},SQ8`                            | 392 (d + 8)             |
| that fits of      | `IVF{n},PQ{d/2}x4fs`                    | 104 (d/4 + 8)           |
|                   | `IVF{n},PQ{d/4}x4fs`                    | 56 (d/8 + 8)            |

`Flat` is exact and needs no building, so it is kept for as long as it is fast. The number of
lists is a power of two between 4 and 8 times the square root of the number of vectors, so that
each has its 39 training points; from 16,384 lists on the nearest are found through a graph of
their own. After the FAISS project's guidelines and autofaiss's rules, with fewer kinds: OPQ and
indexes on disk must be asked for by their description.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from llmaug.errors import RetrievalError

FLAT_UP_TO, GRAPH_UP_TO = 100_000, 1_000_000
POINTS_PER_LIST = 39
GRAPH_OVER_LISTS = 16_384
SHARE = 0.5  # of the available memory; the rest is for the embedder and for building
SCALAR_BITS = {"SQ8": 8, "SQ6": 6, "SQ4": 4, "SQfp16": 16, "SQbf16": 16, "Flat": 32}


def choose(count: int, dimension: int, *, memory: int | None = None) -> str:
    """The description of the index for `count` vectors that fits into `memory` bytes.

    By default that is half of the memory available now. Raises `RetrievalError` where not even
    the smallest kind fits.
    """
    if count <= FLAT_UP_TO:
        return "Flat"
    budget = int(SHARE * available_memory()) if memory is None else memory
    smallest = math.inf
    for factory in _candidates(count, dimension):
        needed = memory_needed(factory, count, dimension)
        if needed <= budget:
            return factory
        smallest = min(smallest, needed)
    raise RetrievalError(
        f"{count:,} vectors of {dimension} dimensions need {smallest / 1e9:.1f} GB at least and "
        f"{budget / 1e9:.1f} GB may be used; allow more memory or index the corpus in parts"
    )


def list_count(count: int) -> int:
    """The number of inverted lists for `count` vectors, a power of two."""
    most = min(8 * math.sqrt(count), count / POINTS_PER_LIST)
    return 1 << math.floor(math.log2(max(1, most)))


def available_memory() -> int:
    """Bytes that could be used without swapping: those of the machine or of the container."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        found = re.search(r"MemAvailable:\s+([0-9]+) kB", Path("/proc/meminfo").read_text())
        free = int(found[1]) * 1024 if found else free
        control_group = Path("/sys/fs/cgroup")
        limit = (control_group / "memory.max").read_text().strip()
        if limit != "max":
            used = int((control_group / "memory.current").read_text())
            free = min(free, max(0, int(limit) - used))
    except OSError:
        pass  # not Linux, or no container: what was found so far holds
    return free


def memory_needed(factory: str, count: int, dimension: int) -> int:
    """Bytes that an index takes in memory and on the disk, to within a fifth.

    While it is built, the training sample (100 vectors a list) comes on top. Raises
    `RetrievalError` for a description whose parts are not known here.
    """
    width, fixed, each, stored = dimension, 0.0, 0.0, False
    for part in factory.split(","):
        if part in ("IDMap", "IDMap2"):
            each += 8
        elif found := re.fullmatch(r"(?:OPQ[0-9]+|PCAR?|RR)_?([0-9]*)", part):
            target = int(found[1] or width)
            fixed, width = fixed + 4 * width * target, target
        elif found := re.fullmatch(r"IVF([0-9]+)(?:_HNSW([0-9]+))?", part):
            lists = int(found[1])
            fixed += lists * (4 * width + (_graph(int(found[2])) if found[2] else 0))
            each += 8
        elif found := re.fullmatch(r"HNSW([0-9]+)(?:_(.+))?", part):
            each += _graph(int(found[1])) + (_code(found[2], width) if found[2] else 0)
            stored = bool(found[2])
        elif part == "RFlat":
            each += 4 * dimension
        elif found := re.fullmatch(r"Refine\((.+)\)", part):
            each += _code(found[1], dimension)
        else:
            each, stored = each + _code(part, width), True
            fixed += _codebook(part, width)
            if "fs" in part and "IVF" in factory:  # each list is filled up to a multiple of 32
                fixed += 16 * _code(part, width) * _lists(factory)
    if not stored:
        each += 4 * width
    return math.ceil(fixed + count * each)


def _candidates(count: int, dimension: int) -> Iterator[str]:
    """Descriptions from the best to the smallest."""
    lists = list_count(count)
    inverted = f"IVF{lists}_HNSW32" if lists >= GRAPH_OVER_LISTS else f"IVF{lists}"
    codes = [f"PQ{m}x4fs" for m in (dimension // 2, dimension // 4) if m and dimension % m == 0]
    if count <= GRAPH_UP_TO:
        yield "HNSW32"
    elif codes:
        yield f"{inverted},{codes[0]},RFlat"
    yield from (f"{inverted},{code}" for code in ("Flat", "SQ8", *(codes or ["SQ4"])))


def _lists(factory: str) -> int:
    return sum(int(lists) for lists in re.findall(r"IVF([0-9]+)", factory))


def _graph(links: int) -> float:
    """Bytes a vector in HNSW: twice the links below, a few above, its level and its offset."""
    return 4 * (2 * links + links / (links - 1)) + 12


def _code(part: str, width: int) -> float:
    """Bytes a vector in a storage."""
    if part in SCALAR_BITS:
        return width * SCALAR_BITS[part] / 8
    if found := re.fullmatch(r"PQ([0-9]+)(?:x([0-9]+))?(?:fsr?|np)?", part):
        return math.ceil(int(found[1]) * int(found[2] or 8) / 8)
    if part == "RaBitQ":
        return width / 8 + 8
    raise RetrievalError(f"how much memory {part!r} takes is not known; build it and see")


def _codebook(part: str, width: int) -> int:
    """Bytes of the centroids of a product quantiser."""
    found = re.fullmatch(r"PQ[0-9]+(?:x([0-9]+))?(?:fsr?|np)?", part)
    return 4 * width * 2 ** int(found[1] or 8) if found else 0
