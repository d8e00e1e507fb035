"""Five documents, an index of them, and the files that are in force there."""

from __future__ import annotations

import json

import llmaug as la

TEXTS = {
    "d1": "the kettle boils a litre of water in two minutes",
    "d2": "the left earcup of the headphones died after nine days",
    "d3": "a quiet vacuum cleaner that picks up hair of dogs",
    "d4": "water leaks from the bottom of the coffee machine",
    "d5": "the battery of the torch lasts a weekend of camping",
}


def documents(**texts: str) -> list[la.Text]:
    return [la.Text(text, id, id) for id, text in (texts or TEXTS).items()]


def files(folder):
    """Every file of the edition in force by its content, but for the manifest's version."""
    return {
        str(path.relative_to(edition(folder))): path.read_bytes()
        for path in sorted(edition(folder).rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def edition(folder):
    return folder / json.loads((folder / "index.json").read_bytes())["edition"]
