"""The program `gan-lightning COMMAND`.

`python train.py COMMAND` and `python -m gan_lightning COMMAND` are the same.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

from gan_lightning.errors import DEBUG, UsageError, run

PROGRAM = "gan-lightning"


class Command(NamedTuple):
    """A function that is run from the command line. It is imported when it is run, since that can take seconds."""

    module: str
    function: str
    summary: str

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        return getattr(import_module(self.module), self.function)


class Training(NamedTuple):
    """A command of a run, which is given a config: `gan_lightning.cli.training` parses its arguments."""

    summary: str


class Program(NamedTuple):
    """A command that parses its arguments itself, since some of them are those of `fit`."""

    module: str
    function: str
    summary: str


class Group(NamedTuple):
    """Commands under a common name."""

    commands: "dict[str, Command | Training | Program | Group]"
    summary: str
    epilog: str = ""


EVALUATION = "gan_lightning.evaluation.command"
PICTURES = "gan_lightning.evaluation.pictures"
LATENT = "gan_lightning.latent.commands.images"
ATTRIBUTES = "gan_lightning.latent.commands.attributes"
INVERSION = "gan_lightning.latent.commands.inversion"
HYPE = "gan_lightning.evaluation.hype.command"

COMMANDS = Group(
    {
        "fit": Training("train a model, or go on with a run"),
        "validate": Training("evaluate a run on the validation data of its config"),
        "test": Training("evaluate a run on the test data of its config"),
        "predict": Training("write the images that a model makes for the data of its config"),
        "translate": Command(
            "gan_lightning.prediction.command", "translate", "translate a folder of images by a checkpoint"
        ),
        "landmarks": Command(
            "gan_lightning.prediction.landmarks", "landmarks", "draw the landmarks of faces, which drive talking heads"
        ),
        "sample": Command(LATENT, "sample", "make images by a checkpoint: files in a folder or a .zip, or a grid"),
        "interpolate": Command(LATENT, "interpolate", "go through latents from image to image: a picture or a video"),
        "arithmetic": Command(LATENT, "arithmetic", "add and subtract the mean latents of groups of images"),
        "directions": Command(LATENT, "directions", "find directions of the latents along which images change"),
        "disentangle": Command(
            "gan_lightning.latent.commands.disentangle",
            "disentangle",
            "measure how far single latents control single factors of images",
        ),
        "augment": Command(
            "gan_lightning.classifiers.augmentation_command",
            "augment",
            "measure how much generated images help to train a classifier",
        ),
        "edit": Command(ATTRIBUTES, "edit", "change an attribute of images by a classifier, or go along a direction"),
        "correlate": Command(ATTRIBUTES, "correlate", "measure which attributes change with one"),
        "train-classifier": Command(
            "gan_lightning.classifiers.command", "train_classifier", "train a classifier, to edit images by"
        ),
        "digits": Command("gan_lightning.cli.digits", "digits", "write the digits of the package, with attributes"),
        "invert": Command(INVERSION, "invert", "find the latents that a model makes images of yours from"),
        "train-encoder": Command(INVERSION, "train_encoder", "train a network that estimates the latents of images"),
        "paint": Command(
            "gan_lightning.latent.commands.painting", "paint", "move an image until it follows your strokes and lines"
        ),
        "demo": Command("gan_lightning.demo.command", "demo", "use a model on a web page that is served from here"),
        "mix": Command(
            "gan_lightning.latent.commands.mixing", "mix", "mix the styles of images: rows coarse, columns fine"
        ),
        "evaluate": Command(EVALUATION, "evaluate", "compare a folder of images or a checkpoint with real images"),
        "export": Command("gan_lightning.export.command", "export", "write a model as safetensors, ONNX or .pt2"),
        "import": Command("gan_lightning.export.command", "import_published", "take over weights of other projects"),
        "compare": Command(f"{PICTURES}.compare", "compare", "compare runs: scores, settings, curves and samples"),
        "sweep": Program(
            "gan_lightning.cli.sweep", "sweep", "search settings: train with one after another of a space"
        ),
        "plot": Group(
            {
                "curves": Command(f"{PICTURES}.curves", "plot_curves", "metrics of runs over their training"),
                "neighbours": Command(
                    f"{PICTURES}.neighbours", "plot_neighbours", "fakes beside the nearest real images"
                ),
                "pairs": Command(f"{PICTURES}.pairs", "plot_pairs", "features of real and fake against each other"),
                "truncation": Command(f"{PICTURES}.truncation", "plot_truncation", "fidelity against diversity"),
            },
            "Draw pictures of an evaluation.",
        ),
        "hype": Command(HYPE, "hype", "ask people which images are real, on a web page"),
        "hype-report": Command(HYPE, "hype_report", "print the answers that people gave"),
        "models": Command("gan_lightning.cli.listing", "models", "list the models, their papers and configs"),
        "recipes": Command(EVALUATION, "recipes", "list the evaluations that have a name"),
    },
    "Train, evaluate and use generative adversarial networks.",
    f"""\
first steps:
  {PROGRAM} fit --config quickstart         train DCGAN on digits that come with the package
  {PROGRAM} models                          models, papers, and the configs that --config finds by name
  {PROGRAM} fit --model.help DCGAN          the arguments of a class
  {PROGRAM} COMMAND --help                  the arguments of a command

An error is one sentence. --debug, or the environment variable {DEBUG}=1, shows the traceback too.""",
)


class CommandParser(argparse.ArgumentParser):
    """A parser of command names whose errors are exceptions."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as an error of one sentence.

        Raises:
            UsageError: the message in one sentence.
        """
        from gan_lightning.cli.parsing import boil_down  # noqa: PLC0415 (jsonargparse takes a while to import)

        raise UsageError(boil_down(message))


def find(arguments: Sequence[str]) -> tuple[Command | Training | Program, int]:
    """Find the command that the first arguments name. `--help` in place of a name prints the commands and exits.

    Args:
        arguments: of the command line.

    Returns:
        The command, and the number of arguments that name it.

    Raises:
        UsageError: no command is named, or an unknown one.
    """
    found: Command | Training | Program | Group = COMMANDS
    depth = 0
    while isinstance(found, Group):
        parser = CommandParser(
            prog=" ".join([PROGRAM, *arguments[:depth]]),
            usage="%(prog)s COMMAND ...",
            description=found.summary,
            epilog=found.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True, title="commands")
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
    if arguments is None:
        sys.argv[1:] = _without_debug(sys.argv[1:])
        return run(partial(_start, None))
    return run(partial(_start, _without_debug(arguments)))


def _without_debug(arguments: Sequence[str]) -> list[str]:
    """Take the flag `--debug` out of the arguments, and have it hold for this process and those that it starts."""
    if "--debug" in arguments:
        os.environ[DEBUG] = "1"
    return [word for word in arguments if word != "--debug"]


def _start(given: list[str] | None) -> Any:
    arguments = sys.argv[1:] if given is None else given
    command, depth = find(arguments)  # first: help comes at once
    # imported within `run`, where a Ctrl-C ends the program quietly
    if isinstance(command, Training):
        import_module("gan_lightning.cli.training").main(given)
        return None
    if isinstance(command, Program):
        return getattr(import_module(command.module), command.function)(arguments[depth:])
    from jsonargparse import auto_cli  # noqa: PLC0415

    from gan_lightning.cli.own_modules import find_own_modules  # noqa: PLC0415
    from gan_lightning.cli.parsing import Parser, gathered  # noqa: PLC0415

    find_own_modules()
    function = command.load()
    return auto_cli(
        function,
        args=gathered(function, arguments[depth:]),
        as_positional=True,
        parser_class=Parser,
        prog=" ".join([PROGRAM, *arguments[:depth]]),
    )
