"""What a prompt file may do and still should not."""

from __future__ import annotations

import re

from llmaug.prompt import Prompt

LONGEST_TAIL = 40  # characters behind the text: a closing delimiter, a cue such as "Rewrite:"


def late_text(prompt: Prompt) -> list[str]:
    """Where a prompt spoils prefix caches: fixed wording behind the first thing that is per row.

    Fixed instructions and examples belong first and the text last; up to 40 characters (a
    closing delimiter or a cue) may follow it.
    """
    per_row = [name for name, declared in prompt.inputs.items() if not declared.fixed]
    found = []
    tail = 0
    begun = False
    for role, template in prompt.segments:
        spans = [
            m.span()
            for m in re.finditer(r"\{\{.*?\}\}|\{%.*?%\}", template)
            if any(re.search(rf"\b{re.escape(name)}\b", m[0]) for name in per_row)
        ]
        if begun:
            tail += len(template)
        elif spans:
            begun, tail = True, len(template) - spans[-1][1]
        if begun and tail > LONGEST_TAIL:
            found.append(
                f"{prompt.path}: {tail} fixed characters in the {role} turn stand "
                "behind the text; move them before it"
            )
            break
    return found
