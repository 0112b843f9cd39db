"""The command line: fit, validate, test and predict, each from one or more YAML files and flags that override them."""

import contextlib
import os
import secrets
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveInt
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import ModelSummary, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from gan_lightning.callbacks import Bar, Evaluation, LastCheckpoint, ModelCheckpoint, StopOnSignal
from gan_lightning.cli import configs
from gan_lightning.cli.commands import PROGRAM
from gan_lightning.cli.listing import list_of_models
from gan_lightning.cli.own_modules import find_own_modules
from gan_lightning.cli.parsing import Parser, config_files, help_of, settings_of, under_key
from gan_lightning.cli.run_folder import RunFolder, describe_device, limits_of
from gan_lightning.cli.seeds import train_seeds
from gan_lightning.cli.standard import (
    STANDARD_CALLBACKS,
    add_standard_callbacks,
    follow_recipe,
    listed,
    without_an_unmeasured_best,
)
from gan_lightning.cli.summary import Summary
from gan_lightning.errors import is_ours
from gan_lightning.evaluation import Report
from gan_lightning.inference.stored import TILE
from gan_lightning.prediction import FolderTranslation, named_choices
from gan_lightning.prediction.command import default_output, run
from gan_lightning.prediction.folder import no_translator
from gan_lightning.private import KeepsItsConfig
from gan_lightning.run_files import CONFIG
from gan_lightning.training.adversarial import AdversarialModule
from gan_lightning.training.checkpoint_io import read_checkpoint
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.training.loggers import RunCSVLogger
from gan_lightning.training.trainer import Trainer

_WITH_PLACE = warnings.formatwarning  # Lightning's


class RunParser(Parser, LightningArgumentParser):
    """Parse the arguments of `fit`, `validate`, `test` and `predict`."""

    def instantiate(self, namespace: Namespace, *args: Any, **kwargs: Any) -> Namespace:
        """Build the objects of a config, the standard callbacks among them."""
        config = namespace.clone()
        if (command := config.get("subcommand")) is not None:
            add_standard_callbacks(config[command], self.commands[command].get_defaults())
        return super().instantiate(config, *args, **kwargs)

    def add_method_arguments(self, theclass: Any, themethod: str, *args: Any, **kwargs: Any) -> list[str]:
        """Add a command's own arguments; to `predict`, also those for the translation of a folder."""
        added = super().add_method_arguments(theclass, themethod, *args, **kwargs)
        if themethod == "predict":
            self.add_argument(
                "--input",
                type=Path | None,
                default=None,
                help="Translate all images in this folder and its sub-folders, or this image file. None = predict on "
                "the config's data.",
            )
            self.add_argument(
                "--output",
                type=Path | None,
                default=None,
                help="Folder of the translations. None = predictions/<name of the input> under the run's folder.",
            )
            self.add_argument(
                "--direction",
                type=str | None,
                default=None,
                help="a_to_b or b_to_a, for models that translate both ways. None = a_to_b.",
            )
            self.add_argument(
                "--to",
                type=str | None,
                default=None,
                help="Target of a model of several domains or of attributes: NAME, hat+no_beard, several with commas, "
                "or all. None = the first.",
            )
            self.add_argument(
                "--style_seed",
                type=str | None,
                default=None,
                help="Seed of the style, or several such as 0-3, for models with styles. None = a style by the name.",
            )
            self.add_argument(
                "--example",
                type=Path | None,
                default=None,
                help="Image that gives the style, or a folder of them, for models that take it from examples.",
            )
            self.add_argument(
                "--tile",
                type=PositiveInt,
                default=TILE,
                help="Images with a longer side are translated in tiles of this side, in pixels.",
            )
            self.add_argument(
                "--overlap",
                type=NonNegativeInt | None,
                default=None,
                help="Pixels that neighbouring tiles share at least. None = a quarter of a tile.",
            )
        return added


class GANCommandLine(KeepsItsConfig, LightningCLI):
    """The command line of a GAN's run.

    - A run is a folder: `trainer.default_root_dir` holds its checkpoints, samples, metrics and config, and `run.json`,
      how it was started. A new run refuses a folder that holds another one, and a folder that another process trains
      in; `--ckpt_path last` continues there. Only `fit` writes the config. A run's folder stands for its config:
      `--config RUN`.
    - validate, test and predict take the weights of a checkpoint; `--ckpt_path none` leaves the model as the config
      makes it, for a baseline that nothing was trained for.
    - `checkpoints/last.ckpt` is written after every epoch, every few minutes (`save_every_minutes`), and when the run
      is asked to stop.
    - The reference set is what the recipe of the Evaluation callback compares with; it is evaluated once before
      training (`validate_before_fit`).
    - `predict --input` translates a folder of images; without it, it makes what `validate` would evaluate.
    - What the command line says counts: a checkpoint's hyperparameters never replace it silently.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with contextlib.ExitStack() as self._until_the_end:  # all that a command does is done in the constructor
            super().__init__(*args, **kwargs)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Find the configs that are named, parse, and refuse a seed that no generator takes."""
        for name, command in parser.commands.items():  # type: ignore[attr-defined]
            command.prog = f"{PROGRAM} {name}"  # jsonargparse would put [options] between them
        self.words: list[str] = []
        if isinstance(args, dict | Namespace):
            self.config = parser.parse_object(args)
        else:
            words = _with_config_files(sys.argv[1:] if args is None else args)
            if (name := configs.run_name([str(file) for file in config_files(words)])) is not None:
                for command in parser.commands.values():  # type: ignore[attr-defined]
                    command.set_defaults({"trainer.default_root_dir": f"runs/{name}"})
            self.words += words
            self.config = parser.parse_args(words)
        seed = self.config[self.config.subcommand].seed_everything
        if not isinstance(seed, bool) and not 0 <= seed < 2**32:
            raise ValueError(f"seed_everything={seed} is out of range: make it 0 or more, and below 2**32")

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the standard callbacks, and the settings that belong to no object."""
        for group, (callback, defaults) in STANDARD_CALLBACKS.items():
            parser.add_class_arguments(callback, group, instantiate=False)  # `_add_standard_callbacks` has it built
            parser.set_defaults({f"{group}.{name}": value for name, value in defaults.items()})
        parser.add_argument(
            "--validate_before_fit",
            type=bool,
            default=True,
            help="Evaluate the untrained model before a new run starts.",
        )
        parser.add_argument(
            "--evaluate_every_images",
            type=PositiveInt | None,
            default=None,
            help="Evaluate each time this many images have been trained on, instead of by epochs or batches.",
        )
        parser.add_argument(
            "--save_every_minutes",
            type=NonNegativeFloat | None,
            default=10.0,
            help="fit: write checkpoints/last.ckpt so often within an epoch, too. 0 = after each epoch only.",
        )
        parser.add_argument(
            "--start_from",
            "--init_from",  # its name up to 0.2
            type=dict[str, dict[str, Path] | Path] | Path | None,  # a Path would write dictionaries as text
            default=None,
            help="fit: start a new run from the weights of this checkpoint or exported model, with all counters at 0; "
            "or from those for parts of the model, {generator: a.ckpt, encoder: b.ckpt}, averaged ones where the other "
            "run kept an average; {autoencoder: {generator: a.ckpt}} takes a part of another name. Layers of other "
            "shapes are named, and start anew.",
        )
        parser.add_argument(
            "--recipe",
            type=str | None,
            default=None,
            help="Evaluate by this recipe (fid50k_train, suite10k_test@digits, ...; `gan-lightning recipes` "
            "lists them) instead of the Evaluation callback's own.",
        )
        parser.add_argument(
            "--download_weights",
            type=bool,
            default=False,
            help="Fetch the weights of the recipe's feature extractor where they are missing.",
        )
        parser.add_argument(
            "--seeds",
            type=PositiveInt,
            default=1,
            help="fit: the number of runs to train, with the seeds seed_everything, seed_everything + 1, ..., in "
            "sub-folders of the run's folder, such as seed-0. validate and test: the number of evaluations, with other "
            "draws each. Both give mean and standard deviation.",
        )

    def before_instantiate_classes(self) -> None:
        """Claim the run's folder and give it to everything that writes; complete the settings of the command."""
        config = self.config[self.subcommand]
        root = Path(config.trainer.default_root_dir or f"runs/{_named_after_classes(config)}")
        if self.subcommand == "fit" and "WANDB_SWEEP_ID" in os.environ:  # its agent gives all runs the same flags
            root /= os.environ.get("WANDB_RUN_ID", "")
        config.trainer.default_root_dir = str(root)
        if self.subcommand == "fit" and config.seeds > 1:
            text = self.parser.commands["fit"].dump(config, skip_unset=False)  # type: ignore[attr-defined]
            raise SystemExit(train_seeds(self.words, config, text))
        if self.subcommand != "fit":
            self.save_config_callback = None  # the run's own config stays as it is
            _refuse_what_is_for_others(str(self.subcommand), config)
        if self._translates():
            # what belongs to training may not be there: its folders of images, its extractors' weights
            config.data = config.trainer.callbacks = None
            config.evaluation.recipe = config.evaluation.extractor = config.best.monitor = None
            config.samples.count = 0
            config.trainer.logger = config.trainer.enable_checkpointing = False
            return
        for name in ("output", "direction", "to", "style_seed", "example"):
            if self.subcommand == "predict" and config[name] is not None:
                raise ValueError(f"--{name} is for translating a folder: give --input")
        if self.subcommand != "fit" or config.ckpt_path not in (None, "last"):
            config.ckpt_path = self._checkpoint_to_use(config.ckpt_path)
        if self.subcommand == "fit" and not config.trainer.fast_dev_run and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            self._claim(config.ckpt_path)
        if config.weights_only is None:
            config.weights_only = True  # Lightning would let a checkpoint from a URL run code
        for logger in listed(config.trainer.logger):
            if isinstance(logger, Namespace):
                _place(logger, root)
        follow_recipe(config)
        if config.evaluate_every_images is not None:
            batch_size = config.data.init_args.batch_size or 1  # none: `before_fit` has the model decide
            config.trainer.val_check_interval = max(1, round(config.evaluate_every_images / batch_size))
            config.trainer.check_val_every_n_epoch = None

    def _translates(self) -> bool:
        return self.subcommand == "predict" and self.config.predict.input is not None

    @property
    def folder(self) -> RunFolder:
        """Return the run's folder."""
        return RunFolder(Path(self.config[self.subcommand].trainer.default_root_dir))

    def _last_checkpoint(self) -> Path:
        return self.folder.checkpoint()

    def _claim(self, ckpt_path: Any) -> None:
        """Hold the run's folder until the command ends. A start without a batch leaves it unchanged."""
        folder, resumed = self.folder, None if ckpt_path is None else str(ckpt_path)
        holds_a_run = bool(folder.signs())

        def forget_a_false_start(kind: type[BaseException] | None, *_: Any) -> None:
            if kind is not None and not getattr(getattr(self, "model", None), "has_trained", False):
                folder.forget()

        self._until_the_end.enter_context(folder.claimed(resumed))
        self._until_the_end.push(forget_a_false_start)
        if holds_a_run and resumed == "last" and not folder.checkpoint().exists():
            print(f"{folder.path} has no checkpoint yet: the run starts anew", file=sys.stderr)

    def _checkpoint_to_use(self, named: Any) -> str | None:
        """Return the file that --ckpt_path names for an evaluation or a prediction. None = load no weights.

        Raises:
            ValueError: it names none, and an untrained model would be evaluated.
            FileNotFoundError: there is no such checkpoint in the run's folder.
        """
        if named is None:
            raise ValueError(
                f"{self.subcommand} needs --ckpt_path: a checkpoint, `last` or `best` for one of the run's folder, or "
                "`none` to take the model as the config makes it, untrained"
            )
        if str(named) == "none":
            return None
        if str(named) not in ("last", "best"):
            if "://" not in str(named) and not Path(named).exists():  # Lightning has more words for checkpoints
                raise FileNotFoundError(f"there is no checkpoint {named}: train first, or name another")
            return str(named)
        path = self.folder.checkpoint(str(named))
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no checkpoint {path}: train the model first, name another by --ckpt_path, name the run's "
                "folder by --trainer.default_root_dir, or give --ckpt_path none for the model as the config makes it"
            )
        return str(path)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Build the trainer with the parts that every run has."""
        trainer = self.config_init[self.subcommand].trainer
        root = trainer.default_root_dir
        folder = str(Path(root).absolute() / "checkpoints")
        callbacks = listed(trainer.callbacks)
        if self.subcommand == "fit":
            callbacks = without_an_unmeasured_best(callbacks, self.config.fit.best)
        for callback in callbacks:
            if isinstance(callback, lightning_callbacks.ModelCheckpoint) and callback.dirpath is None:
                callback.dirpath = folder
            if isinstance(callback, Evaluation):
                callback.within_fit = self.subcommand == "fit"
        if trainer.enable_checkpointing is False:
            callbacks.append(StopOnSignal())
        else:
            keeper = next((c for c in callbacks if isinstance(c, LastCheckpoint)), None) or LastCheckpoint()
            keeper.dirpath, keeper.every_minutes = folder, self.config[self.subcommand].save_every_minutes
            # the last of all, so that what it saves has all that others did in the same batch
            callbacks = [*(c for c in callbacks if c is not keeper), keeper]
        if trainer.enable_progress_bar is not False and not any(isinstance(c, ProgressBar) for c in callbacks):
            # each refresh costs as much as half a small step
            callbacks.append(Bar(refresh_rate=1 if self._translates() else 20))
        if trainer.enable_model_summary is not False and not any(isinstance(c, ModelSummary) for c in callbacks):
            callbacks.append(ModelParts())
        if self.subcommand == "fit":
            callbacks.append(Summary())
        kwargs["callbacks"] = callbacks

        if trainer.logger is not False:
            # metrics.csv is the curve of the training: a later evaluation is a line of evaluations.jsonl
            own = [RunCSVLogger(root)] if self.subcommand == "fit" else []
            given = [] if trainer.logger is True else listed(trainer.logger)
            kwargs["logger"] = [*own, *given]
        plugins = listed(trainer.plugins)
        if SLURMEnvironment.detect():  # requeueing is SlurmRequeue's business
            plugins.append(SLURMEnvironment(auto_requeue=False))
        kwargs["plugins"] = plugins
        with under_key(lambda: "trainer", Trainer), settings_of("Lightning"):
            return super().instantiate_trainer(**kwargs)

    def before_fit(self) -> None:
        """Load the weights that the run starts from and evaluate them, so that every curve has a first point."""
        self.model.check_schedules(self.trainer)
        self._refuse_the_trainers_optimization()
        config = self.config[self.subcommand]
        resumes = config.ckpt_path is not None and (config.ckpt_path != "last" or self._last_checkpoint().exists())
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer = self.trainer
            ranks = {"processes": trainer.world_size, "nodes": trainer.num_nodes}
            arithmetic = {"precision": trainer.precision} | describe_device(trainer.strategy.root_device)
            self.folder.note(**arithmetic, **ranks)
            if resumes and (changes := self.folder.changed(**arithmetic)):
                rank_zero_info(
                    f"this run goes on with {', '.join(changes)}: sums differ in their last digits, so that it does "
                    "not end exactly as it would have without the stop"
                )
            if trainer.strategy.root_device.type == "cpu" and (notice := _busy_notice()):
                rank_zero_info(notice)
        if self.model.growth is not None or getattr(self.datamodule, "batch_size", 1) is None:
            # an interval in batches would not be one in images, or is not known yet
            self.model.evaluate_every_images = config.evaluate_every_images
        if config.start_from is not None and not resumes:
            self.model.load_weights(config.start_from)
        for listener in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(listener, StopOnSignal):  # between the evaluations and the training, too
                listener.goes_on = True
                self._until_the_end.callback(listener.listen_no_more)
        wanted = config.validate_before_fit and self.trainer.limit_val_batches
        if wanted and not resumes and not config.trainer.fast_dev_run:
            self._evaluate()
            self._refuse_unmeasured_monitors()

    def _refuse_unmeasured_monitors(self) -> None:
        """Check, after an evaluation, that it measured the metrics by which callbacks keep checkpoints or stop.

        Raises:
            ValueError: one of them was not measured; it is raised before training, and not at its first evaluation.
        """
        measured = self.trainer.callback_metrics
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            monitor = str(getattr(callback, "monitor", None))
            if not measured or not monitor.startswith("val/") or monitor in measured:
                continue
            if isinstance(callback, ModelCheckpoint) and not callback.is_measured(self.trainer, measured):
                continue  # a metric that was left out, as a warning said, is no mistake
            known = ", ".join(sorted(name for name in measured if name.startswith("val/")))
            raise ValueError(
                f"{type(callback).__name__} monitors {monitor}, which the evaluation does not measure: give its "
                f"monitor (--best.monitor for best.ckpt) one of {known}"
            )

    def _refuse_the_trainers_optimization(self) -> None:
        """Refuse arguments of the trainer whose place is in the model, since two players take turns.

        Raises:
            ValueError: one of the trainer's is set.
        """
        trainer, model = self.trainer, self.model
        for name in ("limit_train_batches", "max_epochs", "max_steps"):
            if getattr(trainer, name) == 0:
                raise ValueError(f"trainer.{name}=0 leaves nothing to train: make it 1 or more, or leave it out")
        if isinstance(model, AdversarialModule):
            if trainer.gradient_clip_val:
                raise ValueError(
                    "trainer.gradient_clip_val is for models of one player: set model.generator_clip_norm and "
                    "model.discriminator_clip_norm instead"
                )
            if trainer.accumulate_grad_batches > 1:
                raise ValueError(
                    "trainer.accumulate_grad_batches is for models of one player: set model.accumulate, into how many "
                    "parts each batch is cut, instead"
                )

    def after_fit(self) -> None:
        """End with an evaluation of the last weights, if the last one was of earlier ones, and with a summary."""
        trainer = self.trainer
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.folder.note(finished=limits_of(self.config[self.subcommand].trainer))
        evaluates = any(isinstance(each, Evaluation) for each in trainer.callbacks)  # type: ignore[attr-defined]
        if evaluates and not trainer.fast_dev_run and trainer.limit_val_batches and not self.model.is_evaluated:  # type: ignore[attr-defined]
            self._evaluate()
            # last.ckpt stays: a run that is prolonged from it goes on as if it had not been evaluated here
            for keeper in trainer.checkpoint_callbacks:
                if isinstance(keeper, ModelCheckpoint) and keeper.monitor is not None:
                    keeper.save_if_best(trainer)
        for each in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(each, Summary):
                each.tell(trainer, self.model)

    def _evaluate(self) -> None:
        """Evaluate outside the training loop, and print the scores in one line."""
        trainer = self.trainer
        (scores,) = trainer.validate(self.model, datamodule=self.datamodule, verbose=False, weights_only=True)
        if trainer.is_global_zero and scores:
            said = ", ".join(f"{name} {value:.4g}" for name, value in sorted(scores.items()))
            print(f"evaluated after {self.model.images_seen:,} images: {said}")

    def after_validate(self) -> None:
        """Evaluate again with further seeds if asked to; print the scores and how they were made."""
        config = self.config[self.subcommand]
        evaluate = self.trainer.validate if self.subcommand == "validate" else self.trainer.test
        for evaluation in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(evaluation, Evaluation):
                for _ in range(config.seeds - 1):
                    evaluation.seed += 1
                    evaluate(self.model, datamodule=self.datamodule, verbose=False)
                if not evaluation.reports[-1].values:
                    raise ValueError(f"nothing can be measured: {'; '.join(sorted(evaluation.left_out))}")
                if self.trainer.is_global_zero:
                    print(Report.of_seeds(evaluation.reports).table())

    after_test = after_validate

    def predict(self, **prediction: Any) -> None:
        """Translate a folder where `--input` names one, as `translate` does; else predict on the config's data."""
        if not self._translates():
            self.trainer.predict(**prediction)
            return
        config = self.config.predict
        if self.model.translator is None:
            raise no_translator(type(self.model).__name__)
        path = self._named_checkpoint()
        checkpoint = read_checkpoint(path)
        self.model.check_checkpoint(checkpoint, path)
        self.model.class_names = tuple(checkpoint["gan_lightning"].get("class_names", ()))
        self.model.load_state_dict(checkpoint["state_dict"])
        choices = named_choices(self.model.translator, config.direction, config.to, config.style_seed, config.example)
        root = Path(config.trainer.default_root_dir)
        output = config.output or default_output(root, config.input, config.direction, choices)
        translation = FolderTranslation(
            self.model, config.input, output, config.direction, config.tile, config.overlap, choices=choices
        )
        if run(translation, self.trainer):
            raise SystemExit(1)

    def _named_checkpoint(self) -> Path:
        """Return the file that --ckpt_path names.

        Raises:
            ValueError: it names none.
        """
        named = self.config[self.subcommand].ckpt_path
        if named is None:
            raise ValueError("--input needs --ckpt_path: a checkpoint, or `last` for the newest in the run's folder")
        return self._last_checkpoint() if named == "last" else Path(named)


def _refuse_what_is_for_others(command: str, config: Namespace) -> None:
    """Refuse settings that have no effect, or another one than they say, in validate, test and predict.

    Raises:
        ValueError: there is such a setting.
    """
    if config.start_from is not None and config.ckpt_path is None:  # the config of a run may state both
        raise ValueError(f"--start_from is for fit: give {command} its weights by --ckpt_path")
    limit = f"limit_{'val' if command == 'validate' else command}_batches"
    if config.trainer[limit] == 0:
        raise ValueError(f"trainer.{limit}=0 leaves nothing to {command}: make it 1 or more, or leave it out")


def _place(logger: Namespace, root: Path) -> None:
    """Give a logger without a folder the run's, and one of Weights & Biases the id of the run, also after a resume."""
    if logger.init_args.get("save_dir") == ".":
        logger.init_args.save_dir = str(root)
    if logger.class_path.endswith("WandbLogger") and logger.init_args.get("id") is None:
        kept = root / "wandb-id.txt"
        if not kept.exists() and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            root.mkdir(parents=True, exist_ok=True)
            kept.write_text(os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4))  # a sweep's agent names its runs
        logger.init_args.id = kept.read_text() if kept.exists() else None


class ModelParts(ModelSummary):
    """Print a line for each part of the model: its name, class and number of parameters."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the parts."""
        parts = [(name, type(part).__name__, part) for name, part in pl_module.named_children()]
        counts = {name: sum(p.numel() for p in part.parameters()) for name, _, part in parts}
        shown = [(name, kind, f"{counts[name]:,}") for name, kind, _ in parts if counts[name]]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        for name, kind, count in shown:
            rank_zero_info(f"  {name:{widths[0]}}  {kind:{widths[1]}}  {count:>{widths[2]}} parameters")


def _explained(args: Sequence[str]) -> str | None:
    """Answer `--model.help CLASS`, or another such flag. None = there is no such flag."""
    for i, word in enumerate(args):
        flag, _, value = word.partition("=")
        if not (flag.startswith("--") and flag.endswith(".help")):
            continue
        value = value or next(iter(args[i + 1 :]), "")
        if value and not value.startswith("-"):
            return help_of(value)
        if flag == "--model.help":
            return "\n".join(
                [
                    "name a model, such as --model.help DCGAN; `gan-lightning models` lists their configs too",
                    *(f"  {model.name:22} {model.title}" for model in list_of_models()),
                ]
            )
    return None


class SaveConfig(SaveConfigCallback):
    """Write the run's config into its folder, once, and keep those of earlier starts."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write the config, unless this is a trial run (`fast_dev_run`)."""
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            text = self.parser.dump(self.config, skip_unset=False)
            RunFolder(Path(trainer.default_root_dir)).save_config(text)


def _with_config_files(args: Sequence[str]) -> list[str]:
    """Replace the names of configs by files.

    `--config NAME` of a config of the library becomes its file; `--config RUN`, a run's folder, becomes the config in
    it, and the folder that of the run.
    """
    result: list[str] = []
    for word in args:
        flag, equals, value = word.partition("=")
        if not equals:
            flag, value = (result or [""])[-1], word
        if not value and flag.startswith("-"):  # as of a variable in a script that is not set
            raise ValueError(f"{flag} is empty: give it a value, or leave it out")
        if flag not in ("--config", "-c"):
            result.append(word)
            continue
        path, further = Path(value), []
        if path.is_dir() and (path / CONFIG).is_file():
            path, further = path / CONFIG, [f"--trainer.default_root_dir={value}"]
        elif not path.is_file():
            path = configs.find(value) or path
            if path.is_dir():
                raise FileNotFoundError(f"{value} holds no {CONFIG}: name a YAML file, or the folder of a run")
        result += [f"{flag}={path}" if equals else str(path), *further]
    return result


def _busy_notice() -> str:
    """Return a notice if other programs keep all cores busy, where threads that wait for each other crawl; else ""."""
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # not on Windows
    if threads == 1 or load < cores - 0.5:
        return ""
    return (
        f"other programs keep this machine's {cores} cores busy (load {load:.1f}); a training on {threads} threads may "
        "then be ten times slower than on one: stop it and set OMP_NUM_THREADS=1 before the command"
    )


def _named_after_classes(config: Namespace) -> str:
    """Name a run that has no config file: dcgan-digits."""
    return "-".join(part.class_path.rpartition(".")[2].lower() for part in (config.model, config.data))


def _plainly(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Format a warning. Those of this library have no line of code, which would tell a user nothing."""
    return f"warning: {message}\n" if is_ours(filename) else _WITH_PLACE(message, category, filename, lineno, line)


def main(args: list[str] | None = None) -> GANCommandLine | None:
    """Run `fit`, `validate`, `test` or `predict`.

    Args:
        args: the arguments. None = those that the program was started with.

    Returns:
        The command line after its command has run, with model, trainer and datamodule. None = a class was explained.
    """
    find_own_modules()
    given = sys.argv[1:] if args is None else args
    if (answer := _explained(given)) is not None:
        print(answer)
        return None
    warnings.formatwarning = _plainly
    return GANCommandLine(
        GenerativeModule,
        L.LightningDataModule,
        trainer_class=Trainer,
        subclass_mode_model=True,
        subclass_mode_data=True,
        parser_class=RunParser,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,  # models record their own arguments, from YAML and from Python alike
        seed_everything_default=0,
        save_config_callback=SaveConfig,
        save_config_kwargs={"save_to_log_dir": False},
        parser_kwargs={"prog": PROGRAM},
        trainer_defaults={"devices": 1, "num_sanity_val_steps": 0, "log_every_n_steps": 50},
        args=args,
    )
