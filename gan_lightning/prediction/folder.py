"""A folder of images to a folder of their translations."""

import hashlib
import inspect
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from torch import nn

from gan_lightning.files import holds, image_files, image_kind, read_image, write_image, write_whole
from gan_lightning.generative import GenerativeModule
from gan_lightning.prediction.translation import TILE, ImageTranslation
from gan_lightning.recording import path_of

RECORD = "translation.json"


class Job(NamedTuple):
    """One image to translate."""

    source: Path
    target: Path
    seed: int  # of the model's noise: from the name, so that neither order nor resuming changes an image


class Summary(NamedTuple):
    """What became of a folder."""

    made: int
    kept: int  # were there already
    failures: list[str]  # a sentence for each image that could not be read


class Share:
    """The jobs of one process; Lightning takes a list for several loaders."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)


class FolderTranslation(L.LightningModule):
    """Translates all images of a folder, as a Trainer predicts: on its devices, its processes sharing the files.

    Names and sub-folders are kept. A suffix is kept where its format holds the translation, and is .png otherwise:
    always for maps of classes. Images appear whole or not at all, and those that are there already are not made again.
    The folder's translation.json says what they were made with.

    Args:
        model: see `ImageTranslation`.
        input: folder of images, searched with its sub-folders.
        output: folder of their translations: new, empty, or one where the same translation stopped.
        direction: see `ImageTranslation`.
        tile: see `ImageTranslation`.
        overlap: see `ImageTranslation`.

    Raises:
        ValueError: the model or the settings do not fit (see `ImageTranslation`), the output lies in the input, or two
            images would become one file.
        FileNotFoundError: there is no such input, or no image in it.
    """

    def __init__(
        self,
        model: GenerativeModule,
        input: Path,
        output: Path,
        direction: str | None = None,
        tile: int = TILE,
        overlap: int | None = None,
    ) -> None:
        super().__init__()
        files = image_files(input)
        if output.resolve().is_relative_to(input.resolve()):
            raise ValueError(
                f"the output {output} lies in the input {input}, where it would be taken for input the next time: give "
                "a folder outside"
            )
        self.model = model  # a part of this module, to be moved to the device
        self.translation = ImageTranslation(model, direction, tile, overlap)
        self.input, self.output = input, output
        self.jobs, self.unreadable = self._plan(files)
        self._summary: Summary | None = None

    def run(self, trainer: L.Trainer) -> Summary:
        """Translate the folder with this trainer.

        Raises:
            FileExistsError: the output holds something else than an unfinished translation with these settings.
            RuntimeError: the trainer's strategy spawns or forks processes, which cannot tell this one what they did.
        """
        trainer.predict(self, return_predictions=False)
        if self._summary is None:
            raise RuntimeError(
                f"what became of {self.input} is not known, as the processes that translated it are gone: use the "
                "strategy ddp, which lets each process run the whole program"
            )
        return self._summary

    def _plan(self, files: list[Path]) -> tuple[list[Job], list[str]]:
        """What there is to do, and why some of it cannot be done."""
        jobs: dict[Path, Job] = {}
        unreadable = []
        for source in files:
            name = source.relative_to(self.input)
            try:
                target = self.output / name.with_suffix(self._suffix(source))
            except ValueError as error:
                unreadable.append(str(error))
                continue
            if target in jobs:
                raise ValueError(f"{jobs[target].source} and {source} would both become {target}: rename one of them")
            jobs[target] = Job(source, target, zlib.crc32(name.as_posix().encode()))
        return list(jobs.values()), unreadable

    def _suffix(self, source: Path) -> str:
        kind = image_kind(source)
        channels = self.translation.channels_of(kind.alpha)
        longest = self.translation.scale * max(kind.height, kind.width)
        fits = self.translation.blend and holds(source.suffix, channels, kind.deep, longest)
        return source.suffix if fits else ".png"

    # ------------------------------------------------------------------ hooks of Lightning

    def setup(self, stage: str) -> None:
        """Take possession of the output, for all processes."""
        refusal = self._claim() if self.trainer.is_global_zero else None
        refusal = self.trainer.strategy.broadcast(refusal)
        if refusal is not None:
            raise FileExistsError(refusal)
        self._summary = Summary(0, 0, self.unreadable if self.trainer.is_global_zero else [])

    def _claim(self) -> str | None:
        """Why the output cannot be used; None = it can, and says from now on what it holds."""
        now = self._settings()
        record = self.output / RECORD
        if not record.exists():
            if self.output.exists() and any(self.output.iterdir()):
                return (
                    f"{self.output} is not empty, and has no {RECORD} that says how its files were made: give a new or "
                    "an empty folder"
                )
            write_whole(record, lambda part: part.write_text(json.dumps(now, indent=2) + "\n"))
            return None
        then = json.loads(record.read_text())
        changed = [key for key in now if then.get(key) != now[key]]
        if changed:
            return (
                f"{self.output} holds translations made with other settings ({', '.join(changed)}; see {RECORD} there):"
                " go on with the same, or give a new or an empty folder"
            )
        return None

    def _settings(self) -> dict[str, Any]:
        """All that decides about the images.

        Of the model's arguments these are, besides what its weights show, those whose names begin with `test_`.
        """
        translation = self.translation
        arguments = inspect.signature(type(self.model).__init__).parameters
        return {
            "model": path_of(type(self.model)),
            "arguments": {name: getattr(self.model, name) for name in arguments if name.startswith("test_")},
            "weights": _fingerprint(translation.network),
            "direction": translation.direction,
            "tile": translation.tile,
            "overlap": translation.overlap,
            "input": str(self.input.resolve()),
        }

    def predict_dataloader(self) -> Share:
        """This process's share of the files."""
        return Share(self.jobs[self.trainer.global_rank :: self.trainer.world_size])

    def predict_step(self, job: Job, index: int) -> Path:
        """Read, translate and write one image."""
        if job.target.exists():
            self._count(kept=1)
            return job.target
        try:
            image = read_image(job.source)
        except ValueError as error:
            self._count(failures=[str(error)])
        else:
            write_image(self.translation(image, job.seed), job.target)
            self._count(made=1)
        return job.target

    def _count(self, made: int = 0, kept: int = 0, failures: Sequence[str] = ()) -> None:
        assert self._summary is not None
        before = self._summary
        self._summary = Summary(before.made + made, before.kept + kept, [*before.failures, *failures])

    def teardown(self, stage: str) -> None:
        """Let every process know what became of the whole folder."""
        if self.trainer.world_size > 1:
            parts: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(parts, self._summary)
            made, kept, failures = zip(*parts, strict=True)
            self._summary = Summary(sum(made), sum(kept), list(chain.from_iterable(failures)))


def translate_folder(
    model: GenerativeModule,
    input: Path,
    output: Path,
    direction: str | None = None,
    tile: int = TILE,
    overlap: int | None = None,
    trainer: L.Trainer | None = None,
) -> Summary:
    """Translate all images of a folder: see `FolderTranslation` for the rules, and for what it and its `run` refuse.

    Args:
        model: its weights are used as they are.
        input: folder of images.
        output: folder of their translations.
        direction: one of the model's directions.
        tile: longest side that is translated whole.
        overlap: of tiles.
        trainer: whose devices and processes are used. None = the first accelerator, or the CPU.
    """
    translation = FolderTranslation(model, input, output, direction, tile, overlap)
    return translation.run(trainer or L.Trainer(devices=1, logger=False, enable_checkpointing=False))


def _fingerprint(network: nn.Module) -> str:
    content = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        content.update(name.encode())
        content.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return content.hexdigest()
