"""What a FAISS index description stands for: indexes inside indexes, and how hard they search.

`IDMap2,OPQ16_64,IVF256,PQ16x4fs,RFlat` is a table of ids around a re-ranker around a rotation
around inverted lists. FAISS takes search parameters only in a shape that follows this nesting.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from llmaug.errors import MissingExtra, RetrievalError

EXAMPLES = "Flat, HNSW32, IVF256,Flat or IVF1024,PQ32x4fs,RFlat"
EF_SEARCH, LARGEST_EF_SEARCH = 64, 4096
K_FACTOR, LARGEST_K_FACTOR = 10, 1024
MOST_CANDIDATES = 64  # for each hit, where the effort is another
FEWEST_LINKS, MOST_LINKS = 2, 512


def faiss_library() -> Any:
    """FAISS, imported when first needed; the one place that does so.

    Where torch is used too it should be imported before: on macOS each brings an OpenMP of its
    own, and the later one may crash the process (faiss-wheels issue 73).
    """
    try:
        import faiss
    except ImportError:
        raise MissingExtra("faiss-cpu", "retrieval") from None
    return faiss


@contextlib.contextmanager
def threads_of_faiss(count: int | None) -> Iterator[None]:
    """Let FAISS use that many threads; None leaves it as it is.

    The number belongs to the calling thread (OpenMP), and everything that this thread asks of
    FAISS meanwhile obeys it; it is put back afterwards.
    """
    faiss = faiss_library()
    if count is None:
        yield
        return
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def empty_index(factory: str, dimension: int) -> Any:
    """The untrained FAISS index of that description, for inner products.

    Raises `RetrievalError` for a description that FAISS cannot read, that does not fit the
    dimension, that compares by distance only, or whose numbers would crash the process.
    """
    faiss = faiss_library()
    _refuse_crashes(factory)
    try:
        index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    except MemoryError:
        raise RetrievalError(f"not enough memory for a FAISS index {factory}") from None
    except RuntimeError as error:
        reason = complaint(error)
        if "multiple of the number of subquantizers" in str(error):
            reason = f"the dimension, {dimension}, is not a multiple of the number after PQ or OPQ"
        raise _not_a_description(factory, reason) from None
    if any(layer.metric_type != faiss.METRIC_INNER_PRODUCT for layer in layers(index)):
        raise _not_a_description(factory, "it cannot compare by inner product")
    return index


def layers(index: Any) -> list[Any]:
    """The index and those inside it, from the outermost to the one that does the search.

    The inner ones live only as long as the outermost.
    """
    faiss = faiss_library()
    found = [index]
    while True:
        outer = found[-1]
        if isinstance(outer, faiss.IndexIDMap | faiss.IndexIDMap2 | faiss.IndexPreTransform):
            inner = outer.index
        elif isinstance(outer, faiss.IndexRefine):
            inner = outer.base_index
        else:
            return found
        found.append(faiss.downcast_index(inner))


def kinds_of(index: Any) -> str:
    """The nested kinds by FAISS's names, as in `PreTransform(IVFFlat)`.

    A flat index of inner products is read back as a class of its own, so it counts as `Flat`.
    """
    names = [type(layer).__name__.removeprefix("Index") for layer in layers(index)]
    names = ["Flat" if name == "FlatIP" else name for name in names]
    return "(".join(names) + ")" * (len(names) - 1)


def effort_name(index: Any) -> str:
    """What decides how hard the index searches: nprobe, efSearch, k_factor, or "" for nothing."""
    faiss = faiss_library()
    nested = layers(index)
    if isinstance(nested[-1], faiss.IndexIVF | faiss.IndexIVFFastScan):
        return "nprobe"
    if isinstance(nested[-1], faiss.IndexHNSW):
        return "efSearch"
    return "k_factor" if any(isinstance(each, faiss.IndexRefine) for each in nested) else ""


def usual_effort(index: Any) -> int:
    """The effort where none is given: a sixteenth of the lists, efSearch 64, k_factor 10."""
    lists = max(1, getattr(layers(index)[-1], "nlist", 0) // 16)
    return {"nprobe": lists, "efSearch": EF_SEARCH, "k_factor": K_FACTOR}.get(effort_name(index), 1)


def largest_effort(index: Any) -> int:
    """Beyond this nothing changes (nprobe: all lists), or a plain scan would be faster."""
    lists = getattr(layers(index)[-1], "nlist", 1)
    largest = {"nprobe": lists, "efSearch": LARGEST_EF_SEARCH, "k_factor": LARGEST_K_FACTOR}
    return largest.get(effort_name(index), 1)


def search_parameters(index: Any, effort: int) -> Any:
    """The parameters of one search, nested as the index is; the index itself stays untouched."""
    faiss = faiss_library()
    nested, name = layers(index), effort_name(index)
    parameters = None
    if name == "nprobe":
        parameters = faiss.SearchParametersIVF(nprobe=effort)
        if isinstance(faiss.downcast_index(nested[-1].quantizer), faiss.IndexHNSW):
            # The nearest lists are themselves found through a graph: look twice as far.
            coarse = faiss.SearchParametersHNSW(efSearch=max(EF_SEARCH, 2 * effort))
            parameters.quantizer_params = coarse
    elif name == "efSearch":
        parameters = faiss.SearchParametersHNSW(efSearch=effort)
    for layer in reversed(nested[:-1]):
        if isinstance(layer, faiss.IndexRefine):
            factor = effort if name == "k_factor" else _candidates_per_hit(effort)
            parameters = faiss.IndexRefineSearchParameters(
                k_factor=factor, base_index_params=parameters
            )
        elif isinstance(layer, faiss.IndexPreTransform):
            parameters = faiss.SearchParametersPreTransform(index_params=parameters)
    return parameters


def _candidates_per_hit(effort: int) -> int:
    """How many candidates for each hit are compared exactly, where nprobe or efSearch is given.

    Ten are enough for codes of half a byte per two dimensions. Coarser codes need more, or their
    recall stays low however many lists are searched, so the number rises with the effort.
    """
    return min(max(K_FACTOR, effort // 8), MOST_CANDIDATES)


def complaint(error: BaseException) -> str:
    """What a FAISS exception says, without the C++ around it."""
    text = " ".join(str(error).split())
    if "METRIC_L2" in text:
        return "it cannot compare by inner product"
    text = re.sub(r"^Error in .*? at \S+:\d+: ", "", text)
    failed = re.match(r"Error: '(.*?)' failed:? ?(.*)", text)
    return (failed[2] or f"{failed[1]} does not hold") if failed else text


def _refuse_crashes(factory: str) -> None:
    """FAISS ends the process, without an exception, at some numbers that it accepts."""
    if re.search(r"(?<![0-9])0+(?![0-9])", factory):
        raise _not_a_description(factory, "a number in it is 0")
    for links in re.findall(r"(?:HNSW|NSG)([0-9]+)", factory):
        if not FEWEST_LINKS <= int(links) <= MOST_LINKS:
            limits = f"{FEWEST_LINKS} to {MOST_LINKS}"
            raise _not_a_description(factory, f"a graph has {limits} links, not {links}")


def _not_a_description(factory: str, reason: str) -> RetrievalError:
    return RetrievalError(
        f"not a FAISS index description: {factory!r} ({reason}); write for example {EXAMPLES}"
    )
