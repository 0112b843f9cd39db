"""The web server of a study: the page, its two requests, and images under random names."""

import hmac
import ipaddress
import json
import re
import secrets
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from string import Template
from typing import Any

from gan_lightning.evaluation.hype.pictures import Pictures
from gan_lightning.evaluation.hype.report import HypeReport, judged, report
from gan_lightning.evaluation.hype.study import (
    PASS_MARK,
    TUTORIAL_BLOCK,
    OutOfTurnError,
    Step,
    Study,
    person_name,
)

LARGEST_BODY = 4096  # bytes
MOST_CONNECTIONS = 200  # at a time, a thread each
LONGEST_SHOWN = 3_600_000  # ms, an hour: the browser may have slept

_ASSETS = files("gan_lightning.evaluation.hype") / "assets"
_PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/study.js": ("study.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class HypeServer(ThreadingHTTPServer):
    """Serve a study on an address, with a thread for each connection.

    | request | answer |
    |---|---|
    | GET / | the page |
    | GET /study | the settings that the page explains at the start |
    | POST /join {person} | the person's position; an empty name creates a new one |
    | POST /answer {person, index, answer, shown} | whether the answer was right, if it is revealed, and the next
    position | | GET /image/ID | a PNG file; an ID is valid for one person's one image while the server runs |
    | GET /results, /results.json | the scores, without names |

    The server decides which image a person sees next and whether an answer is right. The page never receives which
    images are real.

    A request is answered only if its Host header is an address, "localhost", the name of this machine, or one of
    `names`. Otherwise a foreign page, whose name was made to resolve to this server, could read the study.

    Args:
        host: an address of this machine.
        port: the port; 0 = any free port.
        study: the people and their answers.
        pictures: the images. Call `check` before the first request.
        names: further names under which browsers reach this server.
        most_people: joins beyond this number are refused.

    Raises:
        OSError: the address is taken, or is not an address of this machine.
    """

    daemon_threads = True

    def __init__(
        self,
        host: str,
        port: int,
        study: Study,
        pictures: Pictures,
        names: Sequence[str] = (),
        most_people: int = 1000,
    ) -> None:
        own = (host, "localhost", socket.gethostname(), socket.getfqdn(), *names)
        self._names = {_as_sent(name) for name in own}
        self._connections: dict[Any, str] = {}  # the client's address of each; the most recently answered is last
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.most_people = most_people
        self.study = study
        self.pictures = pictures
        self._key = secrets.token_bytes(32)
        self._images: dict[str, tuple[str, bool]] = {}
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:  # the latter for a port beyond 65535
            raise OSError(f"cannot serve on {host}, port {port} ({error}): give another host or port") from error

    @property
    def url(self) -> str:
        """The address of the page."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def state(self, person: str, step: Step) -> dict[str, Any]:
        """Return the part of a person's position that the page may know."""
        design = self.study.design
        state: dict[str, Any] = {"person": person, "stage": step.stage, "index": step.index}
        if step.trial:
            identifier = hmac.digest(self._key, f"{step.index} {person}".encode(), "sha256").hex()
            self._images[identifier] = step.trial.image, step.trial.real
            ahead = step.trial.block == TUTORIAL_BLOCK
            state |= {
                "block": step.trial.block,
                "number": step.trial.number,
                "images": design.tutorial if ahead else design.num,
                "exposure": step.exposure,
                "image": f"/image/{identifier}",
            }
        elif step.stage == "done":
            answers = self.study.answers(person)
            state["score"] = asdict(judged(person, [each for each in answers if each.block != TUTORIAL_BLOCK]))
        return state

    def image(self, identifier: str) -> bytes | None:
        """Return the PNG file of a valid ID, or None for any other."""
        found = self._images.get(identifier)
        return found and self.pictures.png(*found)

    def report(self) -> HypeReport:
        """Return the scores so far."""
        return report(self.study.design, self.study.people(), self.study.answers())

    def is_meant(self, host: str | None) -> bool:
        """Return whether a request with this Host header was addressed to this server."""
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:@/\s]+)(:[0-9]{0,5})?", host or "")
        if match is None:
            return False
        name = _as_sent(match[1].strip("[]"))
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True  # an address cannot be made to resolve to another server

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection. If there are too many, close the longest idle one of the client with the most connections.

        A client with many connections therefore does not keep others out.
        """
        with self._lock:
            if len(self._connections) >= MOST_CONNECTIONS:
                ((busiest, _),) = Counter(self._connections.values()).most_common(1)
                idle = next(each for each, address in self._connections.items() if address == busiest)
                del self._connections[idle]
                with suppress(OSError):  # the connection has just ended
                    idle.shutdown(socket.SHUT_RDWR)
            self._connections[request] = client_address[0]
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Free the connection's place when it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.pop(request, None)

    def note_answer(self, request: Any) -> None:
        """Mark a connection as the most recently used, after an answer to one of its requests."""
        with self._lock:
            if request in self._connections:
                self._connections[request] = self._connections.pop(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error if a browser closed the connection; otherwise report it."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: HypeServer
    protocol_version = "HTTP/1.1"
    server_version = "gan_lightning"
    sys_version = ""
    timeout = 60  # seconds without activity on a connection
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._respond(self._get)

    def do_POST(self) -> None:
        self._respond(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, since the answers are the log."""

    def _respond(self, handle: Callable[[str], tuple[bytes, str]]) -> None:
        path = self.path.partition("?")[0]
        try:
            if len(self.headers.get_all("Host", [])) != 1 or not self.server.is_meant(self.headers["Host"]):
                raise _RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "This server has another name (see --names).")
            status, (content, kind) = HTTPStatus.OK, handle(path)
        except _RefusedError as refused:
            self.close_connection = True  # the rest of the body was not read
            status, (content, kind) = refused.status, _json({"error": str(refused)})
        except (OSError, ValueError) as error:
            print(f"hype: {error}", file=sys.stderr, flush=True)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            content, kind = _json({"error": "The server has a problem. Please tell the person who runs this study."})
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.server.note_answer(self.connection)

    def _get(self, path: str) -> tuple[bytes, str]:
        if path in _PAGES:
            name, kind = _PAGES[path]
            return (_ASSETS / name).read_bytes(), kind
        if path.startswith("/image/"):
            image = self.server.image(path.removeprefix("/image/"))
            if image:
                return image, "image/png"
        if path == "/study":
            return _json(self._study())
        if path == "/results":
            return _results(self.server.report()), "text/html; charset=utf-8"
        if path == "/results.json":
            public = json.loads(self.server.report().as_json())
            for person in public["people"]:
                del person["person"]
            return _json(public)
        raise _RefusedError(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _post(self, path: str) -> tuple[bytes, str]:
        if path not in ("/join", "/answer"):
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is no such page.")
        body = self._body()
        return _json(self._join(body) if path == "/join" else self._answer(body))

    def _study(self) -> dict[str, Any]:
        design = self.server.study.design
        height, width = self.server.pictures.size
        return {
            "protocol": design.protocol,
            "blocks": design.blocks,
            "num": design.num,
            "tutorial": design.tutorial,
            "pass_mark": PASS_MARK,
            "height": height,
            "width": width,
        }

    def _join(self, body: dict[str, Any]) -> dict[str, Any]:
        given = body.get("person")
        if given == "":
            given = f"guest-{secrets.token_hex(3)}"
        person = self._person(given)
        try:
            return self.server.state(person, self.server.study.join(person, self.server.most_people))
        except OverflowError as error:
            raise _RefusedError(HTTPStatus.FORBIDDEN, str(error)) from None

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        person, index, said, shown = (body.get(name) for name in ("person", "index", "answer", "shown"))
        person = self._person(person)
        if said not in ("real", "fake") or type(index) is not int:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, 'An answer is "real" or "fake", to the image at an index.')
        if shown is not None and not (type(shown) in (int, float) and 0 < shown < LONGEST_SHOWN):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The time that an image was shown is a number of ms.")
        try:
            answer, step = self.server.study.answer(person, index, said == "real", shown)
        except KeyError:
            raise _RefusedError(HTTPStatus.CONFLICT, "Nobody of that name has joined.") from None
        except OutOfTurnError:
            raise _RefusedError(HTTPStatus.CONFLICT, "That image has been answered already.") from None
        except ValueError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        revealed = answer.block == TUTORIAL_BLOCK or self.server.study.design.protocol == "time"
        return {"correct": answer.correct if revealed else None, "next": self.server.state(person, step)}

    def _person(self, given: Any) -> str:
        try:
            return person_name(given)
        except (ValueError, AttributeError):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "A name has 1 to 64 letters, digits or signs.") from None

    def _body(self) -> dict[str, Any]:
        if self.headers.get_content_type() != "application/json":  # a form of another site cannot send this type
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON.")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "State the length of the content.")
        if len(length) > len(str(LARGEST_BODY)) or int(length) > LARGEST_BODY:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is more than an answer.")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "Send a JSON object.")
        return body


def _as_sent(name: str) -> str:
    """Return a host's name as browsers send it: in lower case, and other scripts encoded by IDNA."""
    name = name.lower().removesuffix(".")
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def _json(content: dict[str, Any]) -> tuple[bytes, str]:
    return json.dumps(content).encode(), "application/json"


def _results(result: HypeReport) -> bytes:
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(value)}</td><td>{escape(interval)}</td></tr>'
        for label, value, interval in result.rows()
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in result.notes())
    page = Template((_ASSETS / "results.html").read_text("utf-8"))
    return page.substitute(summary=escape(result.summary()), rows=rows, notes=notes).encode()
