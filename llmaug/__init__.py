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
    "Job": "llmaug.job",
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
    **dict.fromkeys(
        (
            "back_translate",
            "clean",
            "dedupe",
            "doc2query",
            "edit",
            "formalise",
            "generate",
            "hyde",
            "icr",
            "join",
            "keep",
            "keywords",
            "length",
            "paraphrase",
            "simplify",
            "similar",
            "stored",
        ),
        "llmaug.vocabulary",
    ),
}
__all__ = sorted(PUBLIC)

if TYPE_CHECKING:
    from llmaug.backends import backend as backend
    from llmaug.backends.fake import FakeBackend as FakeBackend
    from llmaug.batch import augment_file as augment_file
    from llmaug.errors import LlmaugError as LlmaugError
    from llmaug.job import Job as Job
    from llmaug.plan import Step as Step
    from llmaug.request import Backend as Backend
    from llmaug.request import Embedder as Embedder
    from llmaug.request import Message as Message
    from llmaug.request import Reply as Reply
    from llmaug.request import Request as Request
    from llmaug.request import Sampling as Sampling
    from llmaug.retrieval.embed import embedder as embedder
    from llmaug.stream import augment as augment
    from llmaug.text import Text as Text
    from llmaug.text import read as read
    from llmaug.text import write as write
    from llmaug.vocabulary import back_translate as back_translate
    from llmaug.vocabulary import clean as clean
    from llmaug.vocabulary import dedupe as dedupe
    from llmaug.vocabulary import doc2query as doc2query
    from llmaug.vocabulary import edit as edit
    from llmaug.vocabulary import formalise as formalise
    from llmaug.vocabulary import generate as generate
    from llmaug.vocabulary import hyde as hyde
    from llmaug.vocabulary import icr as icr
    from llmaug.vocabulary import join as join
    from llmaug.vocabulary import keep as keep
    from llmaug.vocabulary import keywords as keywords
    from llmaug.vocabulary import length as length
    from llmaug.vocabulary import paraphrase as paraphrase
    from llmaug.vocabulary import parse as parse
    from llmaug.vocabulary import similar as similar
    from llmaug.vocabulary import simplify as simplify
    from llmaug.vocabulary import stored as stored


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'llmaug' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
