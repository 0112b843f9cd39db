"""`python -m gan_lightning COMMAND`: what is done with images and checkpoints after training."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from jsonargparse import auto_cli

from gan_lightning.own_modules import find_own_modules

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
HYPE = "gan_lightning.hype.command"

COMMANDS = Group(
    {
        "evaluate": Command(EVALUATION, "evaluate", "compare a folder of images or a checkpoint with real ones"),
        "recipes": Command(EVALUATION, "recipes", "list the evaluations that have a name"),
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


def find(arguments: Sequence[str]) -> tuple[Command, int]:
    """The command that the first arguments name, and how many they are. Help and errors end the program, as usual."""
    found: Command | Group = COMMANDS
    depth = 0
    while isinstance(found, Group):
        parser = argparse.ArgumentParser(prog=" ".join([PROGRAM, *arguments[:depth]]), description=found.summary)
        commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
        for name, command in found.commands.items():
            commands.add_parser(name, help=command.summary, add_help=False)
        found = found.commands[parser.parse_args(arguments[depth : depth + 1]).command]
        depth += 1
    return found, depth


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: None = those that the program was started with.

    Returns:
        The exit code: 0, 2 where the user can mend what went wrong (one sentence says how), 130 when interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    find_own_modules()
    try:
        command, depth = find(arguments)
        auto_cli(
            command.load(),
            args=list(arguments[depth:]),
            as_positional=True,
            prog=" ".join([PROGRAM, *arguments[:depth]]),
        )
    except (OSError, ValueError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
