"""The web server of the page. It talks to visitors alone, and the page to nothing but the server."""

import ipaddress
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gan_lightning.demo.retouch import MOST_PIXELS

LARGEST_BODY = 25_000_000  # bytes of a request
MOST_WAITING = 64  # requests of all visitors together
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'none'; frame-ancestors 'none'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Content-Security-Policy: the browser itself refuses to ask any other server. Gradio writes scripts in the page."""
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


def check_extra() -> None:
    """Raise ModuleNotFoundError unless Gradio is installed, without importing it."""
    if find_spec("gradio") is None:
        raise ModuleNotFoundError("the page needs the package gradio: pip install 'gan_lightning[demo]'")


@contextmanager
def reserved(host: str, port: int) -> Iterator[socket.socket]:
    """Reserve an address of this machine.

    Args:
        host: name or address.
        port: the port; 0 = any free one.

    Raises:
        OSError: it is taken, or is not an address of this machine.
    """
    own = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with own:
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a server that has just ended
            own.bind((host, port))
            own.listen()
        except OSError as error:
            raise OSError(f"cannot serve on {host}, port {port} ({error}): give another host or port") from error
        yield own


@contextmanager
def private_place() -> Iterator[Path]:
    """Have Gradio keep its files in a folder that is deleted at the end, send no reports, and refuse huge images."""
    with TemporaryDirectory(prefix="gan-lightning-demo-") as folder:
        wanted = {
            "GRADIO_TEMP_DIR": folder,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "GAN_LIGHTNING_MAX_PIXELS": str(MOST_PIXELS),
        }
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield Path(folder)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def address_of(own: socket.socket) -> str:
    """Return the page's address."""
    host, port = own.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def application(blocks: Any, looks: Mapping[str, Any], host: str, place: Path) -> Any:
    """Return a page of Gradio as an ASGI application.

    Args:
        blocks: the page, `gradio.Blocks`.
        looks: its theme and style, as `gradio.mount_gradio_app` takes them.
        host: the host that it is served on.
        place: folder of the files of the page and its visitors; no others are read or shown.
    """
    import gradio  # noqa: PLC0415 (takes seconds)
    from fastapi import FastAPI  # noqa: PLC0415

    refusal = gradio.Error("Send a file, not the name or the address of one.", print_exception=False)
    for block in blocks.blocks.values():
        _confine(block, place, refusal)
    hidden: dict[str, Any] = {"openapi_url": None, "docs_url": None, "redoc_url": None}
    blocks.queue(max_size=MOST_WAITING, default_concurrency_limit=1)
    app = gradio.mount_gradio_app(
        FastAPI(**hidden),
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=LARGEST_BODY,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        app_kwargs=hidden,
        **looks,
    )
    return _Guard(app, {host, "localhost", socket.gethostname()})


def serve(app: Any, own: socket.socket) -> None:
    """Serve an ASGI application until Ctrl-C or SIGTERM."""
    import uvicorn  # noqa: PLC0415

    settings = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that files are deleted
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=[own])
    finally:
        signal.signal(signal.SIGTERM, before)


class _Guard:
    """Refuses requests that are too large, or meant for another server, and adds headers to answers.

    The name of a foreign page could be made to resolve to this server, so that the page reads it.
    """

    def __init__(self, app: Any, names: set[str]) -> None:
        self.app, self.names = app, {name.lower() for name in names}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"])
        if not self._is_meant(given.get(b"host", b"").decode("latin-1")):
            await _refuse(send, 421, "This server has another name.")
            return
        length = given.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > LARGEST_BODY or b"transfer-encoding" in given:
            await _refuse(send, 413, f"Send at most {LARGEST_BODY:,} bytes, and state their number.")
            return

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS.items()]
            await send(message)

        await self.app(scope, receive, answer)

    def _is_meant(self, host: str) -> bool:
        found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:@/\s]+)(:[0-9]{0,5})?", host)
        if found is None:
            return False
        name = found[1].strip("[]").lower()
        with suppress(ValueError):
            ipaddress.ip_address(name)
            return True  # an address cannot be made to resolve to another server
        return name in self.names


async def _refuse(send: Any, status: int, why: str) -> None:
    body = why.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), *_HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _confine(block: Any, place: Path, refusal: Exception) -> None:
    """Have a component take and give only files of a folder.

    Gradio would fetch addresses of other servers; and it checks the names of files only in pages that it serves itself,
    and not here, so that visitors could read any file of this machine.
    """
    keep = block.async_move_resource_to_block_cache

    async def move(path: Any) -> Any:
        if path is not None and not Path(path).resolve().is_relative_to(place.resolve()):
            raise refusal
        return await keep(path)

    block.async_move_resource_to_block_cache = move
