"""What `llmaug doctor` finds, and the `models` commands."""

from __future__ import annotations

import json
import socket
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from llmaug import doctor as checks
from llmaug import models
from llmaug.cli.doctor import doctor
from llmaug.cli.models import app as models_app
from llmaug.errors import ModelError

LISTED = json.dumps({"data": [{"id": "qwen3-8b"}, {"id": "evil\x1b[2J"}]}).encode()


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMAUG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    program = typer.Typer()
    program.command()(doctor)
    program.add_typer(models_app, name="models")
    return program


@pytest.fixture
def serve(monkeypatch):
    """Starts a server that always answers alike, and returns its address and what it was asked."""
    monkeypatch.delenv("LLMAUG_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    running = []

    def start(status: int = 200, body: bytes = LISTED, delay: float = 0.0):
        asked = []

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.path, self.headers.get("Authorization")))
                time.sleep(delay)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/v1", asked

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def server_finding(address: str) -> checks.Finding:
    return next(f for f in checks.examine(address) if f.about.startswith("server"))


def test_a_server_that_answers_shows_its_models(serve):
    address, asked = serve()
    finding = server_finding(address + "/")
    assert finding.state == "good"
    assert finding.found == "answers; models: qwen3-8b, evil?[2J"
    assert asked == [("/v1/models", None)]


@pytest.mark.parametrize(
    ("status", "body", "found", "advice"),
    [
        (401, b"", "wants a key", "set LLMAUG_API_KEY"),
        (403, b"", "wants a key", "set LLMAUG_API_KEY"),
        (404, b"", "no list of models here", "ends in /v1"),
        (500, b"", "status 500", "log"),
        (307, b"", "status 307", "log"),
        (200, b"<html>", "not with a list of models", "ends in /v1"),
        (200, b'{"data": 3}', "not with a list of models", "ends in /v1"),
        (200, b'[["id"]]', "not with a list of models", "ends in /v1"),
        (200, b'{"data": []}', "has no model", "load a model"),
    ],
)
def test_a_server_that_does_not_help_says_what_to_do(serve, status, body, found, advice):
    finding = server_finding(serve(status, body)[0])
    assert finding.state == "bad"
    assert found in finding.found
    assert advice in finding.advice


@pytest.mark.parametrize("variable", ["LLMAUG_API_KEY", "OPENAI_API_KEY"])
def test_the_key_is_sent_and_never_shown(serve, app, monkeypatch, variable):
    address, asked = serve(status=401)
    monkeypatch.setenv(variable, "sk-secret")
    result = CliRunner().invoke(app, ["doctor", "--base-url", address])
    assert asked == [("/v1/models", "Bearer sk-secret")]
    assert "refuses the key" in result.output
    assert "sk-secret" not in result.output


def test_a_password_in_the_address_is_not_shown(serve):
    address = serve()[0].replace("http://", "http://me:hush@")
    assert "hush" not in str(checks.examine(address))


def test_a_refused_connection_says_so():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    finding = server_finding(f"http://127.0.0.1:{port}/v1")
    assert finding.found == "cannot connect: connection refused"
    assert "start the server" in finding.advice


def test_a_slow_server_is_given_up_on(serve, monkeypatch):
    monkeypatch.setattr(checks, "SERVER_SECONDS", 0.2)
    finding = server_finding(serve(delay=0.6)[0])
    assert finding.found == "no answer in 0.2 s"


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://host/v1", "http://", "[", "a b"])
def test_what_is_not_an_address_is_said(address):
    assert server_finding(address).found == "--base-url is not an address"


def test_every_absent_package_has_its_pip_line():
    findings = {finding.about: finding for finding in checks.packages()}
    assert {"torch", "sentence-transformers", "vllm", "datasets"} <= set(findings)
    assert all(
        f.advice.startswith("pip install 'llmaug[")
        for f in findings.values()
        if f.state == "absent"
    )
    assert all(f.found for f in findings.values())


def test_the_first_extra_of_sentence_transformers_is_retrieval():
    # The first one is what is advised; onnx and openvino name the package too.
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    naming = [extra for extra, of in extras.items() if "sentence-transformers" in " ".join(of)]
    assert naming == ["retrieval", "onnx", "openvino", "classify", "train"]


def test_a_cache_folder_in_the_way_of_a_file_is_bad(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMAUG_HOME", str(tmp_path / "file" / "home"))
    assert checks.cache_folder().state == "bad"


def test_looking_at_the_cache_folder_does_not_make_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMAUG_HOME", str(tmp_path / "home"))
    assert str(tmp_path / "home") in checks.cache_folder().found
    assert not (tmp_path / "home").exists()


def test_doctor_shows_models_that_are_absent_and_ends_well(app):
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    assert "llmaug models pull smollm2-135m" in result.output


@pytest.mark.parametrize(("status", "code"), [(200, 0), (404, 1)])
def test_the_exit_status_follows_the_server(app, serve, status, code):
    result = CliRunner().invoke(app, ["doctor", "--base-url", serve(status)[0]])
    assert result.exit_code == code


@pytest.mark.parametrize(("name", "code"), [("fake", 0), ("minilmm", 1)])
def test_the_exit_status_follows_the_embedder(app, name, code):
    result = CliRunner().invoke(app, ["doctor", "--embedder", name])
    assert result.exit_code == code
    assert f"embedder {name}" in result.output


def test_models_list_shows_every_short_name(app):
    result = CliRunner().invoke(app, ["models", "list"])
    assert result.exit_code == 0
    assert all(name in result.output for name in models.MODELS)


@pytest.mark.parametrize(
    "command",
    [
        ["where", "minilm"],
        ["where", "nope"],
        ["pull", "nope"],
        ["pull", "minilm", "--source", "nowhere"],
    ],
)
def test_models_commands_raise_one_line(app, command):
    result = CliRunner().invoke(app, ["models", *command])
    assert isinstance(result.exception, ModelError)
    assert "\n" not in str(result.exception)
