"""The server's own part, without Gradio."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gan_lightning.cli.commands import main
from gan_lightning.demo.serving import LARGEST_BODY, _confine, _Guard, address_of, private_place, reserved


def answer(**headers: str) -> tuple[int, dict[str, str]]:
    """The status and the headers of a guarded page's answer."""
    sent: list[Any] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(_Guard(page, {"127.0.0.1", "Box"})({"type": "http", "headers": given}, None, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_only_requests_for_this_server_are_answered() -> None:
    for host in ("127.0.0.1:7860", "[::1]:7860", "192.168.1.7", "box", "BOX:80"):
        assert answer(host=host)[0] == 200
    for host in ("", "evil.example", "box.evil.example:80", "box@evil", "127.0.0.1.evil.example"):
        assert answer(host=host)[0] == 421


def test_large_requests_are_refused() -> None:
    assert answer(host="box", content_length=str(LARGEST_BODY))[0] == 200
    for length in (str(LARGEST_BODY + 1), "9" * 5000, "-1", "many"):
        assert answer(host="box", content_length=length)[0] == 413
    assert answer(host="box", transfer_encoding="chunked")[0] == 413


def test_browsers_are_told_to_ask_no_other_server() -> None:
    policy = answer(host="box")[1]["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "*" not in policy


def test_only_files_of_the_private_place_are_taken(tmp_path: Path) -> None:
    class Component:
        async def async_move_resource_to_block_cache(self, path: Any) -> Any:
            return path

    component = Component()
    _confine(component, tmp_path, ValueError("send a file"))
    for path in (str(tmp_path / "x" / "y.png"), tmp_path / "z.png", None):
        assert asyncio.run(component.async_move_resource_to_block_cache(path)) == path
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    for path in ("http://127.0.0.1:9/x.png", "HTTPS://evil.example/x.png", "/etc/passwd", f"{tmp_path}/../x", "x.png"):
        with pytest.raises(ValueError, match="send a file"):
            asyncio.run(component.async_move_resource_to_block_cache(path))
    with pytest.raises(ValueError, match="send a file"):
        asyncio.run(component.async_move_resource_to_block_cache(tmp_path / "link.png"))


def test_an_address_is_reserved_once() -> None:
    with reserved("127.0.0.1", 0) as own:
        port = own.getsockname()[1]
        assert address_of(own) == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match=f"port {port}"), reserved("127.0.0.1", port):
            pass
    with reserved("127.0.0.1", port):
        pass


def test_the_private_place_is_deleted_and_the_environment_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    with private_place() as folder:
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        assert Path(os.environ["GRADIO_TEMP_DIR"]) == folder
    assert not folder.exists()
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "True"
    assert "GRADIO_TEMP_DIR" not in os.environ


def test_without_the_extra_a_sentence_says_so_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gan_lightning.demo.serving.find_spec", lambda name: None)
    assert main(["demo", "absent"]) == 2
    assert "gan_lightning[demo]" in capsys.readouterr().err


def test_a_port_in_use_is_one_sentence(generator: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["demo", str(generator), f"--port={port}"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ")
    assert str(port) in said


def test_options_of_the_other_kind_are_refused(
    translator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gradio")
    (tmp_path / "picture.json").write_text(
        '{"kind": "gan_lightning picture", "image": "0", "class": null, "truncation": null, "psi": 1, "directions": {}}'
    )
    assert main(["demo", str(translator), "--port=0", f"--settings={tmp_path / 'picture.json'}"]) == 2
    assert "--settings is for models that make images from noise" in capsys.readouterr().err


def test_no_other_command_pays_for_gradio() -> None:
    code = "import sys, gan_lightning.cli.commands, gan_lightning.demo.command; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
