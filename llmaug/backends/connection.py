"""The way to a server: its address, the key to it, and why it cannot be reached."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from llmaug.errors import BackendStopped

if TYPE_CHECKING:
    from yarl import URL


def address(base_url: str) -> URL:
    """A base URL that a key may be sent to; raises `BackendStopped` for any other."""
    from yarl import URL

    # An address that cannot be read may hold a password, so it is not repeated.
    wrong = BackendStopped("the base URL is not an address: write it like http://HOST:PORT/v1")
    try:
        url = URL(base_url.strip().rstrip("/"))
    except ValueError:
        raise wrong from None
    if url.user is not None or url.password is not None:
        raise BackendStopped(
            "the base URL holds a user name or password: take it out and put the "
            "key into LLMAUG_API_KEY"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise wrong
    return url.with_fragment(None)


def key_or_environment(key: str | None) -> str:
    """The key given, else LLMAUG_API_KEY, else OPENAI_API_KEY, else an empty string."""
    for name in ("LLMAUG_API_KEY", "OPENAI_API_KEY"):
        key = (key or os.environ.get(name, "")).strip()
    if not (key or "").isascii() or not (key or "").isprintable():
        raise BackendStopped(
            "the key in LLMAUG_API_KEY or OPENAI_API_KEY holds characters that "
            "cannot be sent: copy it again"
        )
    return key or ""


def cause(error: Exception) -> str:
    """What went wrong with a connection, in words that hold nothing of the request."""
    import aiohttp

    kinds: list[tuple[type[Exception], str]] = [
        (aiohttp.ClientSSLError, "its certificate is not trusted, or it does not speak TLS"),
        (aiohttp.ClientConnectorDNSError, "no such host"),
        (aiohttp.ConnectionTimeoutError, "no connection in time"),
        (TimeoutError, "no answer in time"),
        (aiohttp.ClientPayloadError, "the connection closed in the middle of the reply"),
        (aiohttp.ServerDisconnectedError, "the server closed the connection"),
        (aiohttp.ClientResponseError, "the answer is not HTTP"),
    ]
    for kind, words in kinds:
        if isinstance(error, kind):
            return words
    if isinstance(error, OSError):
        # Several addresses tried for one host come as one error without a number.
        if error.errno == errno.ECONNREFUSED or "refused" in str(error).lower():
            return "connection refused"
        return os.strerror(error.errno).lower() if error.errno else "connection lost"
    return "connection lost"
