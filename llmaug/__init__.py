"""llmaug: LLM-driven text and query augmentation, with proof of whether it helped.

    import llmaug as la
    for variant in la.augment("keep() + paraphrase(n=4)", ["the film was a mess"],
                              lm="transformers:smollm2-135m"):
        print(variant.text)

Every name below is loaded when it is first used, so that `import llmaug` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that defines it.
PUBLIC = {
    "Backend": "llmaug.request",
    "Embedder": "llmaug.request",
    "FakeBackend": "llmaug.backends.fake",
    "Job": "llmaug.batch",
    "LlmaugError": "llmaug.errors",
    "Message": "llmaug.request",
    "Reply": "llmaug.request",
    "Request": "llmaug.request",
    "Sampling": "llmaug.request",
    "Step": "llmaug.plan",
    "Text": "llmaug.text",
    "augment": "llmaug.stream",
    "augment_file": "llmaug.batch",
    "backend": "llmaug.backends",
    "embedder": "llmaug.retrieval.embed",
    "parse": "llmaug.vocabulary",
    "read": "llmaug.text",
    "write": "llmaug.text",
    **dict.fromkeys(("clean", "dedupe", "edit", "generate", "join", "keep", "length", "similar",
                     "stored"), "llmaug.steps"),
    **dict.fromkeys(("back_translate", "doc2query", "formalise", "hyde", "icr", "keywords",
                     "paraphrase", "simplify"), "llmaug.methods"),
}
__all__ = sorted(PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from llmaug.backends import backend
    from llmaug.backends.fake import FakeBackend
    from llmaug.batch import Job, augment_file
    from llmaug.errors import LlmaugError
    from llmaug.methods import (
        back_translate,
        doc2query,
        formalise,
        hyde,
        icr,
        keywords,
        paraphrase,
        simplify,
    )
    from llmaug.plan import Step
    from llmaug.request import Backend, Embedder, Message, Reply, Request, Sampling
    from llmaug.retrieval.embed import embedder
    from llmaug.steps import clean, dedupe, edit, generate, join, keep, length, similar, stored
    from llmaug.stream import augment
    from llmaug.text import Text, read, write
    from llmaug.vocabulary import parse


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'llmaug' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
