"""Run as a script: command lines, each in a fork of one process that has imported everything.

Reads a JSON object a line from standard input, {"program", "arguments", "timeout"} and where wanted {"environment",
"folder", "file_size", "user"}, and writes one for each: {"code", "out", "err"}; a code of null where the time was over.
"""

import importlib
import json
import os
import resource
import selectors
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = {"train.py": "gan_lightning.cli.commands", "gan_lightning": "gan_lightning.__main__"}
EVERYTHING = [
    *PROGRAMS.values(),
    "gan_lightning.cli.training",
    "datamodules",
    "gan_lightning.evaluation.command",
    "gan_lightning.evaluation.pictures.curves",
    "gan_lightning.evaluation.pictures.neighbours",
    "gan_lightning.evaluation.pictures.pairs",
    "gan_lightning.evaluation.pictures.truncation",
    "gan_lightning.evaluation.hype.command",
    "gan_lightning.latent.commands.images",
    "gan_lightning.latent.commands.attributes",
    "gan_lightning.classifiers.command",
    "gan_lightning.cli.digits",
    "gan_lightning.latent.commands.inversion",
    "gan_lightning.latent.commands.painting",
    "gan_lightning.demo.command",
    "gan_lightning.export.command",
    "gan_lightning.latent.commands.mixing",
    "gan_lightning.prediction.landmarks",
]


def start(program: str, arguments: list[str]) -> int:
    """The program as its own `if __name__ == "__main__"` runs it."""
    sys.argv = [program, *arguments]
    main: Any = importlib.import_module(PROGRAMS[program]).main
    try:
        from gan_lightning.errors import run
    except ImportError:  # before there was one way
        try:
            code = main()
            return code if isinstance(code, int) else 0
        except Exception:
            traceback.print_exc()
            return 1
    return run(main)


def child(program: str, arguments: list[str], out: int, err: int, how: dict[str, Any]) -> None:
    """Never returns."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.environ.update(how.get("environment", {}))
    os.chdir(how.get("folder", ROOT))
    if "user" in how:  # root may do all
        os.setuid(how["user"])
    if "file_size" in how:  # as a full disk would stop it
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (how["file_size"],) * 2)
    code = 1
    try:
        code = start(program, arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_one(program: str, arguments: list[str], timeout: float = 60, **how: Any) -> dict[str, Any]:
    """The exit code and all that was printed."""
    pipes = [os.pipe() for _ in range(2)]
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        child(program, arguments, pipes[0][1], pipes[1][1], how)
    for _, write in pipes:
        os.close(write)
    chunks: list[list[bytes]] = [[], []]
    end = time.monotonic() + timeout
    late = False
    with selectors.DefaultSelector() as selector:
        for i, (read, _) in enumerate(pipes):
            selector.register(read, selectors.EVENT_READ, i)
        while selector.get_map() and not late:
            ready = selector.select(max(0.0, end - time.monotonic()))
            late = not ready
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if chunk:
                    chunks[key.data].append(chunk)
                else:
                    selector.unregister(key.fd)
    if late:
        os.killpg(pid, signal.SIGKILL)
    for read, _ in pipes:
        os.close(read)
    _, status = os.waitpid(pid, 0)
    out, err = (b"".join(chunk).decode(errors="replace") for chunk in chunks)
    return {"code": None if late else os.waitstatus_to_exitcode(status), "out": out, "err": err}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    import encodings.cp437  # noqa: F401

    for module in EVERYTHING:
        importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        print(json.dumps(run_one(**json.loads(line))), file=answers)
