"""Methods that write queries for a document."""

from __future__ import annotations

from llmaug.methods.method import method
from llmaug.plan import Step
from llmaug.steps.clean import Clean
from llmaug.steps.generate import Generate


@method
def doc2query(*, n: int = 1, temperature: float | None = None) -> Step:
    """Questions that the passage answers.

    Nogueira et al. 2019, doc2query (arXiv 1904.08375). Departs in that a chat model writes the
    questions zero-shot in place of a model trained on MS MARCO, one question a reply.
    """
    return Generate("doc2query", n=n, temperature=temperature) >> Clean()
