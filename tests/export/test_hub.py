"""Upload to and download from a stand-in of the Hugging Face Hub on this machine."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

import gan_lightning
from gan_lightning.cli.commands import main
from gan_lightning.export import push, save
from gan_lightning.export.card import license_of
from gan_lightning.export.files import CARD
from gan_lightning.export.hub import fetch
from gan_lightning.inference import LatentSampler
from gan_lightning.networks import DCGANGenerator
from gan_lightning.weights import CONFIG, WEIGHTS
from tiny import SMALL

COMMIT = "1" * 40


class Hub(ThreadingHTTPServer):
    """Keeps the files of repositories that it is given: the few addresses of the Hub that are used."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.files: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        code, content, headers = self.content(self.path.partition("?")[0], body)
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_HEAD = answer  # noqa: N815

    def content(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        files = self.server.files.get("owner/name")
        found: Any = None
        if path == "/api/repos/create":
            asked = json.loads(body)
            self.server.files.setdefault(f"{asked['organization']}/{asked['name']}", {})
            found = {"url": f"{self.server.address}/owner/name"}
        elif path == "/api/validate-yaml":
            found = {"errors": [], "warnings": []}
        elif files is not None and "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            found = {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        elif files is not None and "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            found = {"commitOid": COMMIT, "commitUrl": f"{self.server.address}/owner/name/commit/{COMMIT}"}
        elif files is not None and "/tree/" in path:
            found = [{"type": "file", "path": name, "size": len(held), "oid": "2" * 40} for name, held in files.items()]
        elif files is not None and path.startswith("/api/models/owner/name"):
            found = {"id": "owner/name", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        elif files is not None and path.startswith(f"/owner/name/resolve/{COMMIT}/"):
            content = files[path.rpartition("/")[2]]
            return 200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if found is None:
            return 404, b"{}", {"X-Error-Code": "RepoNotFound"}
        return 200, json.dumps(found).encode(), {"Content-Type": "application/json"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    server.server_close()


def test_a_model_goes_to_the_hub_and_comes_back(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = LatentSampler(DCGANGenerator(6, **SMALL))
    folder = save(sampler, tmp_path / "model", license="mit")
    assert push(folder, "owner/name", private=True) == "hf://owner/name"
    assert hub.files["owner/name"].keys() == {CARD, CONFIG, WEIGHTS, "samples.png"}
    assert hub.files["owner/name"][WEIGHTS] == (folder / WEIGHTS).read_bytes()

    back = gan_lightning.load("hf://owner/name")
    assert torch.equal(back.sample(2, seed=1), sampler.sample(2, seed=1))
    assert not any(CARD in asked for asked in hub.asked if "resolve" in asked)  # only what is needed
    assert license_of(fetch("hf://owner/name", card=True)) == "mit"
    assert main(["export", "hf://owner/name", str(tmp_path / "model.pt2")]) == 0

    hub.shutdown()  # a copy in the cache needs no network
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert torch.equal(gan_lightning.load(f"hf://owner/name@{COMMIT}").sample(2, seed=1), back.sample(2, seed=1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["hf://owner/absent", "out"], "hf://owner/absent could not be downloaded"),
        (["hf://owner", "out"], "there is no checkpoint"),
        (["{model}", "out", "--push", "alone"], "'alone' is not the name of a repository"),
        (["{model}", "out.pt2", "--push", "owner/name"], "--push uploads safetensors"),
    ],
)
def test_a_mistake_is_one_line(
    given: list[str], words: str, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    model = save(LatentSampler(DCGANGenerator(6, **SMALL)), tmp_path / "model")
    assert main(["export", *(word.format(model=model) for word in given)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1
