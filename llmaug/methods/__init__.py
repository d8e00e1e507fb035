"""The literature: each method a prompt file and a few lines."""

from __future__ import annotations

from collections.abc import Callable

from llmaug.methods.documents import doc2query
from llmaug.methods.queries import hyde, keywords
from llmaug.methods.rewrite import back_translate, formalise, icr, paraphrase, simplify
from llmaug.plan import Step

METHODS: dict[str, Callable[..., Step]] = {
    "back_translate": back_translate,
    "doc2query": doc2query,
    "formalise": formalise,
    "hyde": hyde,
    "icr": icr,
    "keywords": keywords,
    "paraphrase": paraphrase,
    "simplify": simplify,
}
