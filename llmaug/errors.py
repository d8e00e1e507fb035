"""Every exception that llmaug raises on purpose.

    LlmaugError
    ├── TextError          an input row or file that cannot be read
    ├── PromptError        a prompt file that is wrong, or an input that it lacks
    ├── PlanError          a plan that does not parse or cannot run on this input
    ├── RunError           a run directory that cannot be used
    │   ├── ResumeRefused  its configuration differs from the one given
    │   └── RunBusy        another process works in it
    ├── CacheError         a reply cache that cannot be used
    ├── OutputError        a result that cannot be written (disk full, missing folder)
    ├── ModelError         model weights that cannot be found, fetched or trusted
    ├── RetrievalError     an index or vector store that cannot be built, trusted or used
    ├── ClassifierError    a classifier whose answers or files cannot be used
    ├── MissingExtra       an optional dependency that is not installed
    ├── RowsFailed         a finished augmentation in which some rows failed
    └── BackendError       a request that got no usable reply
        ├── RequestRefused row: this request can never succeed (bad request, too long)
        ├── ReplyError     row: the reply does not fit the prompt's `output`
        ├── Unavailable    transient: try again (429, 5xx, connection, time-out)
        └── BackendStopped fatal: no request can succeed (wrong key, unknown model, wrong address)

Messages are one line: what is wrong, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class LlmaugError(Exception):
    """Anything that a user can act on; the command line prints it as one line."""


class TextError(LlmaugError):
    """An input row or file that cannot be read."""


class PromptError(LlmaugError):
    """A prompt file that is wrong, or an input that it lacks."""


class PlanError(LlmaugError):
    """A plan that does not parse or cannot run on this input."""


class RunError(LlmaugError):
    """A run directory that cannot be used."""


class ResumeRefused(RunError):
    """A run directory whose configuration differs from the one given."""


class RunBusy(RunError):
    """A run directory in which another process works."""


class CacheError(LlmaugError):
    """A reply cache that cannot be used."""


class OutputError(LlmaugError):
    """A result that cannot be written."""


class ModelError(LlmaugError):
    """Model weights that cannot be found, fetched or trusted."""


class RetrievalError(LlmaugError):
    """An index or vector store that cannot be built, trusted or used."""


class ClassifierError(LlmaugError):
    """A classifier whose answers or files cannot be used."""


class MissingExtra(LlmaugError):
    """An optional dependency that is not installed; the message holds the pip line."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'llmaug[{extra}]'")
        self.package, self.extra = package, extra


class RowsFailed(LlmaugError):
    """A finished augmentation in which some rows failed; `failures` lists them."""

    def __init__(self, message: str, failures: Sequence[Any]) -> None:
        super().__init__(message)
        self.failures = list(failures)


class BackendError(LlmaugError):
    """A request that got no usable reply."""


class RequestRefused(BackendError):
    """A request that can never succeed; only its row fails."""


class ReplyError(BackendError):
    """A reply that does not fit the prompt's `output`; asked again with a new sample."""


class Unavailable(BackendError):
    """A request that may succeed later.

    `retry_after` is the wait in seconds that the server asked for, if it did.
    `overload` says that it asked for fewer requests at once (429, 503).
    `answered` says that a server was there at all (false: connection refused).
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        overload: bool = False,
        answered: bool = True,
    ) -> None:
        super().__init__(message)
        self.retry_after, self.overload, self.answered = retry_after, overload, answered


class BackendStopped(BackendError):
    """No request can succeed until the user changes something; stops the run."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The tail of an error message: close matches of a wrong name, else all known names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(names)}" if names else "none are known"
