"""Methods that expand a query."""

from __future__ import annotations

from llmaug.methods.method import method
from llmaug.plan import Step
from llmaug.steps.clean import Clean
from llmaug.steps.generate import Generate


@method
def hyde(*, n: int = 1, temperature: float | None = None) -> Step:
    """Hypothetical documents: passages that would answer the query.

    Gao et al. 2023, HyDE (arXiv 2212.10496), who draw n = 8 at temperature 0.7 and average the
    vectors of query and passages; how the passages are used is chosen apart from this method.
    """
    return Generate("hyde", n=n, temperature=temperature) >> Clean()


@method
def keywords(*, n: int = 1, temperature: float | None = None) -> Step:
    """Search terms for the query, one text a term.

    Jagerman et al. 2023 (arXiv 2305.03653), Q2E/ZS. Departs in that each term is a text of its
    own; `n` counts replies, each of which holds several terms.
    """
    return Generate("keywords", n=n, temperature=temperature) >> Clean()
