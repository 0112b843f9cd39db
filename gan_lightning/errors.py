"""The end of every program of this library after an error: one sentence, if the user can fix the cause.

The origin of an exception separates a mistake of the user from a fault of this library. Code that finds a mistake only
has to raise an ordinary exception with a sentence. A mistake is

- an exception that a `raise` statement of this library made (in gan_lightning or datamodules), since its author foresaw
  the case and wrote the sentence. The exception may be of any kind but AssertionError and NotImplementedError.
- an OSError, a missing package, a full memory, or settings that Lightning calls a misconfiguration, wherever it was
  noticed.

Anything else is a fault: a traceback, and a line that asks for a report.

An exception that passes through the user's own code (a network, data set or callback of another project) always keeps
its traceback, since that shows the place to fix.
"""

import dis
import errno
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DEBUG = "GAN_LIGHTNING_DEBUG"
"""The environment variable that also shows the traceback of a mistake, unless it is empty or 0."""

MISTAKE, FAULT, INTERRUPTED = 2, 1, 130
"""Exit codes: a mistake that the user can fix; a fault here or in the user's own code; Ctrl-C."""

_HERE = Path(__file__).parent
_OURS = (f"{_HERE}{os.sep}", f"{_HERE.parent / 'datamodules'}{os.sep}")
_INSTALLED = tuple(
    f"{place}{os.sep}"
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
    for place in (sysconfig.get_path(name), Path(sysconfig.get_path(name)).resolve())
)
_ADVICE = {
    errno.ENOENT: "correct the path",
    errno.EACCES: "change its permissions, or give another path",
    errno.EPERM: "change its permissions, or give another path",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a folder, not a file",
    errno.EEXIST: "delete it, or give another path",
    errno.ENOSPC: "make room, or write elsewhere (--trainer.default_root_dir, GAN_LIGHTNING_CACHE)",
    errno.EDQUOT: "make room, or write elsewhere (--trainer.default_root_dir, GAN_LIGHTNING_CACHE)",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or write elsewhere",
    errno.EROFS: "give a path that can be written to",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "symbolic links lead in a circle there: remove one",
    errno.ECONNREFUSED: "check the address and the network",
}
_MEMORY = re.compile(r"out of memory|can't allocate memory|Unable to allocate|not enough memory", re.IGNORECASE)


_LOST = re.compile(r"Connection (closed|reset) by peer|remote (worker|process) |NCCL.*(aborted|closed)", re.IGNORECASE)


class UsageError(ValueError):
    """A command line that cannot be understood."""


def run(main: Callable[[], Any]) -> int:
    """Run a program and handle its errors as in the module's docstring. It starts every `main` of this library.

    Args:
        main: the program. If it returns an int, that is the exit code.

    Returns:
        The exit code: 0, `MISTAKE`, `FAULT`, `INTERRUPTED`, or the program's own.
    """
    try:
        code = main()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            return _say(stop.code.removeprefix("error: "), MISTAKE)
        return stop.code or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as error:
        code = report(error)
        if _is_one_of_several():
            # exit at once: Lightning would let the first process wait for the others, and then kill it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return code
    return code if isinstance(code, int) else 0


def report(error: Exception) -> int:
    """Print an exception on standard error, as in the module's docstring.

    Returns:
        The exit code.
    """
    if isinstance(error, ImportError) and isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
        return INTERRUPTED  # while a package was imported
    if getattr(error, "everywhere", False) and _rank() > 0:
        return MISTAKE  # the first process prints it
    if _is_one_of_several() and not isinstance(error, OSError) and _LOST.search(str(error)) is not None:
        if _rank() == 0:
            _say("another process of this run has ended; it printed the reason, unless it was killed", FAULT)
        return FAULT
    mistake = mistake_in(error)
    own = next((place for link in chain(error) if (place := own_place(link)) is not None), None)
    if mistake is None or own is not None or os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exception(error)
    if mistake is not None:
        return _say(sentence(mistake), MISTAKE)
    what = one_line(f"{type(error).__name__}: {error}")
    if own is not None:
        return _say(f"{own}: {what}", FAULT)
    return _say(
        f"{what} (this is a fault of gan_lightning, not of yours: report it with the text above and the command to the "
        "project's issue tracker)",
        FAULT,
    )


def mistake_in(error: BaseException) -> BaseException | None:
    """Return the exception whose sentence says what to fix: `error` or one of its causes. None = a fault."""
    for link in chain(error):
        if _foreseen(link):
            return link
        if own_place(link) is not None:
            return None
        if isinstance(link, OSError | ModuleNotFoundError) or _is_memory(link) or _is_misconfiguration(link):
            return link
    return None


def sentence(mistake: BaseException) -> str:
    """Return the message of an exception in one line: what is wrong, where, and what to do."""
    if _foreseen(mistake):
        return one_line(str(mistake))
    if isinstance(mistake, ModuleNotFoundError) and mistake.name:
        return (
            f"the package {mistake.name.partition('.')[0]!r} is needed here: install it with pip, or correct the name"
        )
    if _is_memory(mistake):
        text = one_line(str(mistake))
        asked = re.search(r"tried to allocate (\d+) bytes", text)
        what = f"{int(asked[1]) / 1e9:,.1f} GB more are needed" if asked else text.partition(". ")[0]
        return (
            f"the memory is full ({what or type(mistake).__name__}): make "
            "data.batch_size smaller (or model.accumulate larger), or the images and the networks"
        )
    if isinstance(mistake, OSError) and mistake.errno is not None:
        what = (mistake.strerror or os.strerror(mistake.errno)).lower()
        path = mistake.filename if mistake.filename2 is None else mistake.filename2  # the target of a renaming
        where = f"{path}: " if path is not None else ""
        advice = _ADVICE.get(mistake.errno)
        return one_line(f"{where}{what}{f' ({advice})' if advice else ''}")
    return one_line(str(mistake) or type(mistake).__name__)


def one_line(text: str) -> str:
    """Return a text with line breaks and runs of spaces as single spaces, and without a full stop at the end."""
    return " ".join(text.split()).removesuffix(".")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, the last one first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _foreseen(error: BaseException) -> bool:
    """Return whether a `raise` statement of this library made the exception."""
    if error.__traceback__ is None or isinstance(error, AssertionError | NotImplementedError):
        return False
    innermost = error.__traceback__
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    code = innermost.tb_frame.f_code
    return is_ours(code.co_filename) and dis.opname[code.co_code[innermost.tb_lasti]] == "RAISE_VARARGS"


def is_ours(file: str) -> bool:
    """Return whether a file of Python code is a part of this library."""
    return file.startswith(_OURS)


def own_place(error: BaseException) -> str | None:
    """Return the innermost line of the user's own code in an exception's traceback, or None if there is none."""
    places = [
        f"{code.co_filename}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if os.path.isabs((code := frame.f_code).co_filename) and not code.co_filename.startswith((*_OURS, *_INSTALLED))
    ]
    return places[-1] if places else None


def _rank() -> int:
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or os.environ.get("LOCAL_RANK") or 0)


def _is_one_of_several() -> bool:
    return "MASTER_PORT" in os.environ  # Lightning and all launchers set it


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_MEMORY.search(str(error))))


def _is_misconfiguration(error: BaseException) -> bool:
    # compared by name, since this module is imported without Lightning
    names = ("MisconfigurationException", "UsageError")  # of Lightning; of Weights & Biases without a login
    return type(error).__name__ in names or str(error).startswith("Early stopping conditioned on")


def _say(what: str, code: int) -> int:
    print(f"error: {what}", file=sys.stderr, flush=True)
    return code
