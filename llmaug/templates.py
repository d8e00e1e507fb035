"""Jinja2 for prompts: sandboxed, strict about names, limited in size and in what it can do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

from llmaug.errors import PromptError, did_you_mean

if TYPE_CHECKING:
    import jinja2

FILTERS = frozenset(
    {
        "trim",
        "upper",
        "lower",
        "title",
        "capitalize",
        "join",
        "length",
        "first",
        "last",
        "truncate",
        "replace",
        "list",
        "int",
        "round",
        "default",
        "indent",
        "wordcount",
        "batch",
        "sort",
        "unique",
    }
)
Filled = Callable[[Mapping[str, Any]], str]

MOST_NODES = 600
DEEPEST = 12


@functools.cache
def environment() -> jinja2.Environment:
    """The one Jinja2 environment: immutable sandbox, strict undefined names, few filters."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    made.filters = {name: f for name, f in made.filters.items() if name in FILTERS}
    made.globals = {}
    return made


def compile_template(template: str, inputs: Container[str], where: str) -> Filled:
    """A template that uses only these inputs, as a function of their values.

    `PromptError` says what is not allowed in it.
    """
    import jinja2
    from jinja2 import meta, nodes

    forbidden = (
        nodes.Include,
        nodes.Import,
        nodes.FromImport,
        nodes.Extends,
        nodes.Macro,
        nodes.Call,
        nodes.CallBlock,
        nodes.Block,
        nodes.Getattr,
        nodes.Mul,
        nodes.Pow,
    )
    try:
        tree = environment().parse(template)
    except jinja2.TemplateSyntaxError as error:
        raise PromptError(f"{where}: template line {error.lineno}: {error.message}") from None
    if sum(1 for _ in tree.find_all(nodes.Node)) > MOST_NODES or _depth(tree) > DEEPEST:
        raise PromptError(
            f"{where}: the template is too large or nested too deeply "
            f"(at most {MOST_NODES} nodes, {DEEPEST} levels)"
        )
    for node in tree.find_all(forbidden):
        raise PromptError(
            f"{where}: template line {node.lineno}: {type(node).__name__.lower()} "
            "is not allowed in a prompt"
        )
    for node in tree.find_all(nodes.Filter):
        if node.name not in FILTERS:
            raise PromptError(
                f"{where}: unknown filter {node.name!r}; " + did_you_mean(node.name, FILTERS)
            )
    for name in sorted(meta.find_undeclared_variables(tree)):
        if name not in inputs:
            raise PromptError(
                f"{where}: the template uses {name!r}, which is not among its "
                f"inputs; add it under inputs: in the front matter"
            )
    return _plain(tree) or environment().from_string(template).render


def _plain(tree: jinja2.nodes.Template) -> Filled | None:
    """The same without Jinja2's machinery, where a template only puts names into a text.

    Most prompts do, and this is a tenth of the time.
    """
    from jinja2 import nodes

    pieces: list[tuple[str, bool]] = []  # (text or name, is a name)
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            return None
        for piece in node.nodes:
            if isinstance(piece, nodes.TemplateData):
                pieces.append((piece.data, False))
            elif isinstance(piece, nodes.Name):
                pieces.append((piece.name, True))
            else:
                return None

    def fill(values: Mapping[str, Any]) -> str:
        return "".join([str(values[text]) if named else text for text, named in pieces])

    return fill


def _depth(node: jinja2.nodes.Node) -> int:
    return 1 + max((_depth(child) for child in node.iter_child_nodes()), default=0)
