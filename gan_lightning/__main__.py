"""`python -m gan_lightning COMMAND`: what is done with images and checkpoints after training."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

from gan_lightning.errors import UsageError, run

PROGRAM = "python -m gan_lightning"


class Command(NamedTuple):
    """A function that is run from the command line; imported when it is, since some take seconds to import."""

    module: str
    function: str
    summary: str

    def load(self) -> Callable[..., Any]:
        """The function."""
        return getattr(import_module(self.module), self.function)


class Group(NamedTuple):
    """Commands under a common name."""

    commands: "dict[str, Command | Group]"
    summary: str


EVALUATION = "gan_lightning.evaluation.command"
PICTURES = "gan_lightning.evaluation.pictures"
HYPE = "gan_lightning.evaluation.hype.command"

COMMANDS = Group(
    {
        "evaluate": Command(EVALUATION, "evaluate", "compare a folder of images or a checkpoint with real ones"),
        "recipes": Command(EVALUATION, "recipes", "list the evaluations that have a name"),
        "compare": Command(f"{PICTURES}.compare", "compare", "runs side by side: scores, settings, curves, samples"),
        "plot": Group(
            {
                "curves": Command(f"{PICTURES}.curves", "plot_curves", "metrics of runs over their training"),
                "neighbours": Command(
                    f"{PICTURES}.neighbours", "plot_neighbours", "fakes beside the nearest real images"
                ),
                "pairs": Command(f"{PICTURES}.pairs", "plot_pairs", "features of real and fake against each other"),
                "truncation": Command(f"{PICTURES}.truncation", "plot_truncation", "fidelity against diversity"),
            },
            "Pictures of an evaluation.",
        ),
        "hype": Command(HYPE, "hype", "ask people which images are real, on a web page"),
        "hype-report": Command(HYPE, "hype_report", "print what they have said"),
    },
    "What is done with images and checkpoints after training.",
)


class CommandParser(argparse.ArgumentParser):
    """argparse's, whose errors are exceptions."""

    def error(self, message: str) -> NoReturn:
        """Raise.

        Raises:
            UsageError: the message, boiled down.
        """
        from gan_lightning.cli.parsing import boil_down  # noqa: PLC0415 (see _start)

        raise UsageError(boil_down(message))


def find(arguments: Sequence[str]) -> tuple[Command, int]:
    """The command that the first arguments name, and how many they are; help ends the program."""
    found: Command | Group = COMMANDS
    depth = 0
    while isinstance(found, Group):
        parser = CommandParser(prog=" ".join([PROGRAM, *arguments[:depth]]), description=found.summary)
        commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
        for name, command in found.commands.items():
            commands.add_parser(name, help=command.summary, add_help=False)
        word = arguments[depth] if depth < len(arguments) else ""
        if not word or (word.startswith("-") and word not in ("-h", "--help")):
            raise UsageError(f"a command is missing: give one of {', '.join(found.commands)}")
        found = found.commands[parser.parse_args(arguments[depth : depth + 1]).command]
        depth += 1
    return found, depth


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: None = those that the program was started with.

    Returns:
        The exit code, as `gan_lightning.errors.run` says.
    """
    return run(partial(_start, sys.argv[1:] if arguments is None else list(arguments)))


def _start(arguments: list[str]) -> None:
    command, depth = find(arguments)  # first: help comes at once
    # imported within `run`, where a Ctrl-C ends the program quietly
    from jsonargparse import auto_cli  # noqa: PLC0415

    from gan_lightning.cli.own_modules import find_own_modules  # noqa: PLC0415
    from gan_lightning.cli.parsing import Parser, gathered  # noqa: PLC0415

    find_own_modules()
    function = command.load()
    auto_cli(
        function,
        args=gathered(function, arguments[depth:]),
        as_positional=True,
        parser_class=Parser,
        prog=" ".join([PROGRAM, *arguments[:depth]]),
    )


if __name__ == "__main__":
    sys.exit(main())
