"""Translation of a folder of images."""

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from torch import nn

from gan_lightning.data.files import (
    Page,
    composed,
    holds,
    image_files,
    image_kind,
    pages_of,
    read_image,
    shown,
    unlike,
    write_pages,
    write_whole,
)
from gan_lightning.inference import Choice, Translator
from gan_lightning.inference.identity import fingerprint
from gan_lightning.inference.stored import TILE, ImageTranslation
from gan_lightning.inference.translation import UntranslatableImageError
from gan_lightning.recording import path_of
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.training.layouts import is_faster_in_channels_last

RECORD = "translation.json"


class Job(NamedTuple):
    """One file to translate, with all its pages, by one of the choices."""

    pages: list[Page]
    target: Path
    choice: str
    seeds: list[int]  # of the model's noise; they depend only on the names, so that an image is always the same


class Summary(NamedTuple):
    """The result for a folder."""

    made: int  # number of translated images; each page of a file counts
    kept: int  # number of images that were there already
    failures: list[str]  # a sentence for each file that could not be read


class Share:
    """The jobs of one process. It is not a list, since Lightning takes a list for several loaders."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)


class FolderTranslation(L.LightningModule):
    """Translates all images of a folder by a Trainer's `predict`: on its devices, with files shared by its processes.

    Names and sub-folders are kept. A suffix is kept if its format holds the translation, and becomes .png otherwise.
    Maps of classes always become .png, except in a TIFF file of several pages, each of which becomes a page. Files
    appear whole or not at all, and existing ones are not made again. The output's translation.json records the
    settings.

    Args:
        model: any model whose `translator` is not None, or a translator alone.
        input: folder of images, searched with its sub-folders; or one image file.
        output: folder of their translations: new, empty, or one where the same translation stopped.
        direction: see `ImageTranslation`.
        tile: see `ImageTranslation`.
        overlap: see `ImageTranslation`.
        name: import path of the model's class, for translation.json. Null = that of `model`.
        choices: the user's choices, by their names, for models that have any (see `named_choices`). Each of several
            gets the sub-folder of its name in the output. None = the model's default.

    Raises:
        ValueError: the model or the settings do not fit (see `ImageTranslation`), the output lies in the input, or two
            images would become one file.
        FileExistsError: the output is a file.
        FileNotFoundError: there is no such input, or no image in it.
    """

    def __init__(
        self,
        model: GenerativeModule | Translator,
        input: Path,
        output: Path,
        direction: str | None = None,
        tile: int = TILE,
        overlap: int | None = None,
        name: str | None = None,
        choices: Mapping[str, Choice] | None = None,
    ) -> None:
        super().__init__()
        if not input.exists():
            raise FileNotFoundError(f"there is no {shown(input)}: name a folder of images, or an image file")
        files = image_files(input) if input.is_dir() else [input]
        if output.is_file():
            raise FileExistsError(f"the output {shown(output)} is a file: name a folder, into which translations go")
        if output.resolve().is_relative_to(input.resolve()):
            raise ValueError(
                f"the output {shown(output)} lies in the input {shown(input)}, and would be a part of the input the "
                "next time: give a folder outside"
            )
        translator = model if isinstance(model, Translator) else model.translator
        if translator is None:
            raise no_translator(type(model).__name__)
        self.model = model  # a part of this module, to be moved to the device
        self.networks = nn.ModuleList(translator.parts.values())
        self.name = name or path_of(type(model))
        self.translations = {
            label: ImageTranslation(translator, direction, tile, overlap, choice)
            for label, choice in (choices or {"": Choice()}).items()
        }
        self.translation = next(iter(self.translations.values()))  # the first, where all are alike
        self.input, self.output = input, output
        self.jobs, self.unreadable = self._plan(files)
        self._summary: Summary | None = None

    def run(self, trainer: L.Trainer) -> Summary:
        """Translate the folder with this trainer.

        Raises:
            FileExistsError: the output holds something other than an unfinished translation with these settings.
            RuntimeError: the trainer's strategy spawns or forks processes, which cannot report their results.
        """
        trainer.predict(self, return_predictions=False)
        if self._summary is None:
            raise RuntimeError(
                f"the result for {shown(self.input)} is not known, since the processes that translated it have ended: "
                "use the strategy ddp, which lets each process run the whole program"
            )
        return self._summary

    def _plan(self, files: list[Path]) -> tuple[list[Job], list[str]]:
        """Return the jobs, and a sentence for each file that cannot be translated."""
        root = self.input if self.input.is_dir() else self.input.parent
        jobs: dict[Path, Job] = {}
        unreadable = []
        for source in files:
            pages = pages_of(source)
            try:
                name = source.relative_to(root).with_suffix(self._suffix(pages))
            except ValueError as error:
                unreadable.append(str(error))
                continue
            seeds = [zlib.crc32(os.fsencode(page.name(root))) for page in pages]
            for label in self.translations:
                target = self.output / (label if len(self.translations) > 1 else "") / name
                if target in jobs:
                    raise _one_file(jobs[target], source, target)
                jobs[target] = Job(pages, target, label, seeds)
        return list(jobs.values()), unreadable

    def _suffix(self, pages: list[Page]) -> str:
        suffix = pages[0].file.suffix
        held = [self._holds(suffix, page) for page in pages]
        if len(pages) == 1:
            return suffix if held[0] and self.translation.blend else ".png"
        if not all(held):
            raise ValueError(
                f"{shown(pages[0].file)} has {len(pages)} pages, whose translations no TIFF file can hold, since they "
                "have 16 bits and colours: save its pages as separate files"
            )
        return suffix

    def _holds(self, suffix: str, page: Page) -> bool:
        kind = image_kind(page)
        channels = self.translation.channels_of(kind.alpha)
        return holds(suffix, channels, kind.deep, self.translation.scale * max(kind.height, kind.width))

    # ------------------------------------------------------------------ hooks of Lightning

    def setup(self, stage: str) -> None:
        """Claim the output for all processes, and set the memory layout of the networks for the device."""
        refusal = self._claim() if self.trainer.is_global_zero else None
        refusal = self.trainer.strategy.broadcast(refusal)
        if refusal is not None:
            raise FileExistsError(refusal)
        device = self.trainer.strategy.root_device
        if isinstance(self.model, GenerativeModule):
            self.model.lay_out(device)
        elif is_faster_in_channels_last(self.networks, device):
            self.networks.to(memory_format=torch.channels_last)
        self._summary = Summary(0, 0, self.unreadable if self.trainer.is_global_zero else [])

    def _claim(self) -> str | None:
        """Return why the output cannot be used; or claim it, record the settings there, and return None."""
        now = self._settings()
        record = self.output / RECORD
        if record.exists() or (self.output.exists() and any(self.output.iterdir())):
            content = record.read_bytes() if record.exists() else None
            if (reason := unlike(self.output, RECORD, content, now)) is not None:
                return reason
        else:
            write_whole(record, lambda part: part.write_text(json.dumps(now, indent=2) + "\n"))
        return self._clash()

    def _clash(self) -> str | None:
        """Return which images would become one file, if the file system ignores upper and lower case."""
        jobs: dict[str, Job] = {}
        if not (self.output / RECORD.upper()).exists():
            return None
        for job in self.jobs:
            other = jobs.setdefault(composed(str(job.target)).casefold(), job)
            if other is not job:
                return str(_one_file(other, job.pages[0].file, job.target))
        return None

    def _settings(self) -> dict[str, Any]:
        """Return all settings that the images depend on."""
        translation, policy = self.translation, self.translation.translator.policy
        chosen: dict[str, Any] = {}
        if translation.translator.has_choice:
            parts = translation.translator.parts
            others = [part for name, part in parts.items() if name not in translation.translator.directions]
            chosen["choices"] = {label: _recorded(each.choice) for label, each in self.translations.items()}
            chosen |= {"classifier": [fingerprint(part) for part in others]} if others else {}
        return chosen | {
            "model": self.name,
            "policy": {"dropout": policy.dropout, "batch_norm": policy.batch_norm},
            "weights": fingerprint(translation.network),
            "direction": translation.direction,
            "tile": translation.tile,
            "overlap": translation.overlap,
            "input": str(self.input.resolve()),
        }

    def predict_dataloader(self) -> Share:
        """Return this process's share of the files."""
        return Share(self.jobs[self.trainer.global_rank :: self.trainer.world_size])

    def predict_step(self, job: Job, index: int) -> Path:
        """Read, translate and write one file."""
        if job.target.exists():
            self._count(kept=len(job.pages))
            return job.target
        try:
            images = [read_image(page) for page in job.pages]
        except ValueError as error:
            self._count(failures=[str(error)])
            return job.target
        try:
            translate = self.translations[job.choice]
            translated = [translate(image, seed) for image, seed in zip(images, job.seeds, strict=True)]
        except UntranslatableImageError as error:
            self._count(failures=[f"{shown(job.pages[0].file)} cannot be translated: {error}"])
        else:
            write_pages(translated, job.target)
            self._count(made=len(translated))
        return job.target

    def _count(self, made: int = 0, kept: int = 0, failures: Sequence[str] = ()) -> None:
        assert self._summary is not None
        before = self._summary
        self._summary = Summary(before.made + made, before.kept + kept, [*before.failures, *failures])

    def teardown(self, stage: str) -> None:
        """Collect the results for the whole folder on every process."""
        if self.trainer.world_size > 1:
            parts: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(parts, self._summary)
            made, kept, failures = zip(*parts, strict=True)
            self._summary = Summary(sum(made), sum(kept), list(chain.from_iterable(failures)))


def translate_folder(
    model: GenerativeModule | Translator,
    input: Path,
    output: Path,
    direction: str | None = None,
    tile: int = TILE,
    overlap: int | None = None,
    trainer: L.Trainer | None = None,
    choices: Mapping[str, Choice] | None = None,
) -> Summary:
    """Translate all images of a folder; see `FolderTranslation` for the rules, and for its errors and those of `run`.

    Args:
        model: the model, or its translator; its weights do not change.
        input: folder of images, or one image file.
        output: folder of their translations.
        direction: one of its translator's directions.
        tile: longest side that is translated whole, in pixels.
        overlap: overlap of tiles, in pixels.
        trainer: trainer whose devices and processes are used. None = the first accelerator, or the CPU.
        choices: the user's choices, by their names.
    """
    translation = FolderTranslation(model, input, output, direction, tile, overlap, choices=choices)
    return translation.run(trainer or L.Trainer(devices=1, logger=False, enable_checkpointing=False))


def no_translator(name: str) -> ValueError:
    """Return the error for a model, of a class of this name, that translates nothing."""
    return ValueError(f"{name} does not translate images: give a model that does, such as Pix2Pix or CycleGAN")


def _recorded(choice: Choice | None) -> dict[str, Any]:
    """Return a choice as JSON holds it, with a digest of its example."""
    chosen = (choice or Choice())._asdict()
    if (example := chosen["example"]) is not None:
        chosen["example"] = hashlib.sha256(example.cpu().contiguous().numpy().tobytes()).hexdigest()
    return chosen


def _one_file(job: Job, source: Path, target: Path) -> ValueError:
    names = f"{shown(job.pages[0].file)} and {shown(source)}"
    return ValueError(f"{names} would both become {shown(target)}: rename one of them")
