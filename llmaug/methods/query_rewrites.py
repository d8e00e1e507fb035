"""Methods that put a query in other words, or split it: each text is a query itself."""

from __future__ import annotations

from llmaug.errors import PlanError
from llmaug.methods.method import method
from llmaug.methods.queries import written
from llmaug.plan import Step

MOST_QUERIES = 20


@method
def multi_query(*, n: int = 4, temperature: float | None = None) -> Step:
    """`n` other queries for the same need, from one reply.

    Rackauckas 2024, RAG-Fusion (arXiv 2402.03367), which fuses the rankings of all queries by
    reciprocal rank. Departs in that the number is the model's to keep: a reply may list fewer
    or more.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST_QUERIES:
        raise PlanError(f"multi_query: n must be a whole number from 1 to {MOST_QUERIES}")
    return written("multi_query", asked="items", temperature=temperature, inputs={"count": n})


@method
def decompose(*, temperature: float | None = None) -> Step:
    """The simpler questions that the query consists of, one text a question.

    Zhou et al. 2023, least-to-most prompting (arXiv 2205.10625), section 2. Departs in that only
    its first stage is used, for searching instead of answering, and zero-shot instead of with
    worked examples.
    """
    return written("decompose", asked="items", temperature=temperature)


@method
def step_back(*, n: int = 1, temperature: float | None = None) -> Step:
    """The more general question behind the query.

    Zheng et al. 2024, step-back prompting (arXiv 2310.06117), section 2. Departs in that only
    the abstraction is used, for searching beside the query, and zero-shot instead of with worked
    examples.
    """
    return written("step_back", asked="prose", n=n, temperature=temperature)


@method
def rewrite_query(*, n: int = 1, temperature: float | None = None) -> Step:
    """The query rewritten so that a search engine finds better documents.

    Ma et al. 2023, Rewrite-Retrieve-Read (arXiv 2305.14283), section 3.1, with a frozen model.
    Departs in that it is zero-shot instead of few-shot and writes one query; the rewriter that
    the paper trains is not part of it. Unlike most methods here it is made to replace the query.
    """
    return written("rewrite_query", asked="prose", n=n, temperature=temperature)
