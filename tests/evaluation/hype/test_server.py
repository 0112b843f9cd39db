import json
import socket
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from gan_lightning.evaluation.hype import server as hype_server
from gan_lightning.evaluation.hype.answers import read_answers
from gan_lightning.evaluation.hype.server import HypeServer
from gan_lightning.evaluation.hype.study import Design

INFINITY = Design("infinity", 4, 0, 0)
TIME = Design("time", 4, 2, 0)


def request(
    server: HypeServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), content


def post(server: HypeServer, path: str, content: Any) -> tuple[int, Any]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    status, _, answer = request(server, "POST", path, body, {"Content-Type": "application/json"})
    return status, json.loads(answer)


def go_through(server: HypeServer, person: str, answer: str = "real") -> list[dict[str, Any]]:
    """Return all replies of the server while a person gives the same answer to all images."""
    replies = [post(server, "/join", {"person": person})[1]]
    state = replies[0]
    while "image" in state:
        shown = None if state["exposure"] is None else state["exposure"] + 1.5
        content = {"person": person, "index": state["index"], "answer": answer, "shown": shown}
        status, said = post(server, "/answer", content)
        assert status == 200, said
        replies.append(said)
        state = said["next"]
    return replies


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/study.js", "text/javascript"), ("/style.css", "text/css"), ("/icon.svg", "image")],
)
def test_page_needs_nothing_from_elsewhere(serve: Callable, path: str, kind: str) -> None:
    status, headers, content = request(serve(INFINITY).server, "GET", path)
    assert status == 200
    assert headers["Content-Type"].startswith(kind)
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert b"http://" not in content.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in content


def test_infinity(serve: Callable) -> None:
    served = serve(INFINITY)
    replies = go_through(served.server, "Anna")
    assert all(said["correct"] is None for said in replies[1:])
    assert replies[-1]["next"]["stage"] == "done"
    assert replies[-1]["next"]["score"] == {
        "person": "anna",
        "error": 50,
        "fake_error": 100,
        "real_error": 0,
        "threshold": None,
    }
    recorded = read_answers(served.answers)
    assert recorded.people == ["anna"]
    assert [answer.said_real for answer in recorded.answers] == [True] * 4
    assert sorted(answer.real for answer in recorded.answers) == [False, False, True, True]


def test_time(serve: Callable) -> None:
    served = serve(Design("time", 4, 0, 0))
    replies = go_through(served.server, "anna")
    exposure = 500
    for said in replies[1:-1]:
        exposure = min(max(exposure + (-10 if said["correct"] else 30), 100), 1000)
        if said["next"]["number"] == 1:
            exposure = 500
        assert said["next"]["exposure"] == exposure
    assert replies[-1]["next"]["score"]["threshold"] > 100
    assert all(answer.shown == answer.exposure + 1.5 for answer in read_answers(served.answers).answers)


def test_the_tutorial_shows_what_is_right_and_can_be_failed(serve: Callable) -> None:
    replies = go_through(serve(TIME).server, "anna")
    assert [said["correct"] is not None for said in replies[1:]] == [True, True]
    assert replies[-1]["next"] == {"person": "anna", "stage": "unqualified", "index": 2}


def test_the_page_does_not_know_which_images_are_real(serve: Callable) -> None:
    served = serve(INFINITY)
    _, state = post(served.server, "/join", {"person": "anna"})
    _, twice = post(served.server, "/join", {"person": "anna"})
    _, other = post(served.server, "/join", {"person": "ben"})
    assert state == twice
    assert set(state) == {"person", "stage", "index", "block", "number", "images", "exposure", "image"}
    assert state["image"] != other["image"]
    said = json.dumps(go_through(served.server, "carl")[:-1])
    for word in ("secret", "photo", "made", "jpg", '"real"', '"fake"', ".png"):
        assert word not in said

    status, headers, content = request(served.server, "GET", state["image"])
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert content.startswith(b"\x89PNG")
    assert set(headers) == {
        "Server",
        "Date",
        "Content-Type",
        "Content-Length",
        "Cache-Control",
        "Content-Security-Policy",
        "Referrer-Policy",
        "X-Content-Type-Options",
    }


def test_nameless_people_are_given_a_name(serve: Callable) -> None:
    server = serve(INFINITY).server
    first, second = (post(server, "/join", {"person": ""})[1]["person"] for _ in range(2))
    assert first.startswith("guest-")
    assert first != second


def test_results_name_nobody(serve: Callable) -> None:
    server = serve(INFINITY).server
    assert b"Nobody has gone through" in request(server, "GET", "/results")[2]
    go_through(server, "Anna <b>")
    go_through(server, "ben")
    _, _, page = request(server, "GET", "/results")
    assert b"2 finished, 8 answers" in page
    assert b"50.0 %" in page
    _, _, content = request(server, "GET", "/results.json")
    assert json.loads(content)["values"]["error"]["mean"] == 50
    assert json.loads(content)["people"][0]["error"] == 50
    assert b"anna" not in (page + content).lower()


@pytest.mark.parametrize(
    "path",
    [
        "/../command.py",
        "/%2e%2e/command.py",
        "/assets/index.html",
        "/index.html",
        "/image/",
        "/image/../../../etc/passwd",
        "/image/secret/made0.png",
        "/image/" + "0" * 64,
        "//etc/passwd",
        "http://[/",
        "/" + "a" * 60_000,
        "/\u00e9".encode().decode("latin-1"),
    ],
)
def test_nothing_else_is_served(serve: Callable, path: str, capfd: pytest.CaptureFixture) -> None:
    server = serve(INFINITY).server
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as connection:
        connection.sendall(
            b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(65_536).split()[1] == b"404"
    assert capfd.readouterr().err == ""


JOINED = {"person": "anna", "index": 0, "answer": "real", "shown": None}


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/join", b"", 400),
        ("/join", b"{", 400),
        ("/join", b"[" * 4000, 400),
        ("/join", b"\xff\xfe", 400),
        ("/join", [1], 400),
        ("/join", {}, 400),
        ("/join", {"person": 7}, 400),
        ("/join", {"person": ["a"]}, 400),
        ("/join", {"person": " "}, 400),
        ("/join", {"person": "a" * 65}, 400),
        ("/join", {"person": "a\u0000b"}, 400),
        ("/join", {"person": "\ud800"}, 400),
        ("/join", b" " * 5000, 413),
        ("/answer", {}, 400),
        ("/answer", {**JOINED, "answer": True}, 400),
        ("/answer", {**JOINED, "answer": "REAL"}, 400),
        ("/answer", {**JOINED, "index": "0"}, 400),
        ("/answer", {**JOINED, "index": 0.0}, 400),
        ("/answer", {**JOINED, "index": False}, 400),
        ("/answer", {**JOINED, "index": 1}, 409),
        ("/answer", {**JOINED, "index": -1}, 409),
        ("/answer", {**JOINED, "person": "ben"}, 409),
        ("/answer", {**JOINED, "shown": 500}, 400),
        ("/answer", {**JOINED, "shown": "500"}, 400),
        ("/answer", {**JOINED, "shown": float("nan")}, 400),
        ("/answer", {**JOINED, "shown": 10**400}, 400),
        ("/answer", {**JOINED, "shown": True}, 400),
        ("/study", {}, 404),
        ("/", {}, 404),
    ],
)
def test_bad_input(serve: Callable, path: str, content: Any, status: int, capfd: pytest.CaptureFixture) -> None:
    served = serve(INFINITY)
    post(served.server, "/join", {"person": "anna"})
    got, said = post(served.server, path, content)
    assert got == status
    assert said["error"].endswith(".") or "needed" in said["error"]
    assert capfd.readouterr().err == ""
    assert not read_answers(served.answers).answers


@pytest.mark.parametrize("shown", [None, 0, -5, float("nan"), float("inf"), 1e9])
def test_a_limited_exposure_must_be_measured(serve: Callable, shown: float | None) -> None:
    server = serve(Design("time", 4, 0, 0)).server
    post(server, "/join", {"person": "anna"})
    assert post(server, "/answer", {**JOINED, "shown": shown})[0] == 400
    assert post(server, "/answer", {**JOINED, "shown": 483.4})[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json", "Content-Length": "many"}, 411),
        ({"Content-Type": "application/json", "Content-Length": "-1"}, 411),
        ({"Content-Type": "application/json", "Content-Length": "9" * 30}, 413),
        ({"Content-Type": "application/json", "Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_bad_headers(serve: Callable, headers: dict[str, str], status: int, capfd: pytest.CaptureFixture) -> None:
    assert request(serve(INFINITY).server, "POST", "/join", b"", headers)[0] == status
    assert capfd.readouterr().err == ""


def test_full_disk_and_lost_image(
    serve: Callable, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(INFINITY)
    _, state = post(served.server, "/join", {"person": "anna"})

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        status, said = post(served.server, "/answer", JOINED)
    assert (status, "person who runs this study" in said["error"]) == (500, True)
    assert capfd.readouterr().err == "hype: no space left\n"
    assert post(served.server, "/join", {"person": "anna"})[1] == state
    assert post(served.server, "/answer", JOINED)[0] == 200
    assert len(read_answers(served.answers).answers) == 1

    monkeypatch.setattr(served.server.pictures, "png", fail)
    assert request(served.server, "GET", state["image"])[0] == 500
    assert capfd.readouterr().err == "hype: no space left\n"


def test_people_at_the_same_time(serve: Callable) -> None:
    served = serve(Design("infinity", 20, 0, 0))
    threads = [threading.Thread(target=go_through, args=(served.server, f"person {number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded = read_answers(served.answers)
    assert len(recorded.answers) == 160
    assert len(served.server.report().people) == 8


def test_two_tabs_give_one_answer(serve: Callable) -> None:
    served = serve(INFINITY)
    post(served.server, "/join", {"person": "anna"})
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(post(served.server, "/answer", JOINED)[0])) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [200] + [409] * 5
    assert len(read_answers(served.answers).answers) == 1


def test_a_browser_that_goes_away(serve: Callable, capfd: pytest.CaptureFixture) -> None:
    server = serve(INFINITY).server
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.server_address[1])) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    assert request(server, "GET", "/")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_taken_port(serve: Callable, tmp_path: Path) -> None:
    served = serve(INFINITY)
    for host, port in (("127.0.0.1", served.server.server_address[1]), ("127.0.0.1", 70_000), ("203.0.113.1", 0)):
        with pytest.raises(OSError, match=r"cannot serve on .*: give another host or port"):
            HypeServer(host, port, served.study, served.server.pictures)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8000",
            "127.0.0.1.evil.example",
            "",
            "a b",
            "localhost@evil",
            "localhost:80:80",
        ),
        *(
            "::1",
            "[::1",
            "[localhost]x",
            "[evil.example]",
            "localhost:x",
            "127.1",
            "2130706433",
            "localhost..",
            "http://a",
        ),
    ],
)
def test_a_request_for_another_name_is_refused(serve: Callable, host: str) -> None:
    server = serve(INFINITY).server
    assert request(server, "GET", "/", headers={"Host": host})[0] == 421
    body = json.dumps({"person": "eve"}).encode()
    assert request(server, "POST", "/join", body, {"Content-Type": "application/json", "Host": host})[0] == 421
    assert server.study.people() == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:9", "localhost", "LOCALHOST.:80", "localhost:", "[::1]:8000", "[2001:DB8::7]", "192.168.1.7"),
        *("study.example", "xn--stdie-lva.example:443"),
    ],
)
def test_a_request_for_this_server_is_answered(serve: Callable, host: str) -> None:
    server = serve(INFINITY, names=["study.example", "Stüdie.example"]).server
    assert request(server, "GET", "/", headers={"Host": host})[0] == 200


def test_no_more_people_join_than_the_study_is_for(serve: Callable) -> None:
    server = serve(INFINITY, most_people=2).server
    assert [post(server, "/join", {"person": name})[0] for name in ("ann", "bob", "eve", "ann")] == [200, 200, 403, 200]
    assert server.study.people() == ["ann", "bob"]


def test_idle_connections_give_way(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hype_server, "MOST_CONNECTIONS", 4)
    server = serve(INFINITY).server
    place = "127.0.0.1", server.server_address[1]
    guest = HTTPConnection(*place, timeout=10, source_address=("127.0.0.2", 0))
    guest.request("GET", "/study")
    assert guest.getresponse().read()
    sockets = []
    for start in (b"", b"GET / HT", b"POST /join HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") * 4:  # none goes on
        sockets.append(socket.create_connection(place, timeout=10))
        sockets[-1].sendall(start)
    assert request(server, "GET", "/")[0] == 200
    guest.request("GET", "/study")  # over the connection that it had
    assert guest.getresponse().read()
    assert sockets[0].recv(1) == b""  # closed
    for each in (*sockets, guest):
        each.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_an_address_of_version_6(serve: Callable) -> None:
    served = serve(INFINITY)
    with HypeServer("::1", 0, served.study, served.server.pictures) as server:
        assert server.url == f"http://[::1]:{server.server_address[1]}"
