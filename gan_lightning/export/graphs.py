"""A trained model as one graph of operators, ONNX or torch.export's .pt2, for programs without this library.

A graph maps `z` (and `labels`) or `image` (and the code of a choice) to `images`, float32 in [-1, 1]. The number of
images is free, and for a translator height and width too. It computes what the sampler or translator does, with the
same clamps and the same policy of batch norm and dropout: both are traced by torch.export, as they are.
"""

import copy
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_lightning import private
from gan_lightning.data.files import write_whole
from gan_lightning.errors import one_line
from gan_lightning.export.files import Trained, library_version, refuse_existing
from gan_lightning.inference import LatentSampler, Translator
from gan_lightning.inference.tiles import round_up

OPSET = 20
"""The version of ONNX's set of operators; onnxruntime has it since 1.17."""
TOLERANCE = 1e-3
"""Largest allowed difference of an image's value, in [-1, 1], from PyTorch's: an eighth of a level of 255.

For maps of classes it is the largest share of pixels that may get another class.
"""

Inputs = tuple[Tensor, ...]


class Graph(nn.Module, ABC):
    """A computation of images from tensors, to be traced, with inputs to try it on."""

    names: tuple[str, ...]
    """Names of the inputs."""
    dynamic: tuple[dict[int, Any], ...]
    """The dimensions of each input that may change."""

    @abstractmethod
    def examples(self) -> list[Inputs]:
        """Return random inputs of several sizes; the graph is traced on the first."""

    @property
    def shapes(self) -> str:
        """The inputs' shapes in words: a letter is a free dimension."""
        letters = {0: "N", 2: "H", 3: "W"}
        return " and ".join(
            f"{name} ({', '.join(letters[d] if d in free else str(size) for d, size in enumerate(example.shape))})"
            for name, free, example in zip(self.names, self.dynamic, self.examples()[0], strict=True)
        )

    def computed(self, inputs: Inputs) -> Tensor:
        """Return the images of these inputs, with random numbers that are always the same."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            return self(*inputs)

    def difference(self, expected: Tensor, found: Tensor) -> float:
        """Return the largest difference of two sets of images."""
        if expected.shape != found.shape:
            return float("inf")
        return float((expected - found).abs().max().nan_to_num(float("inf")))


class LatentGraph(Graph):
    """Images from latents z (N, latent_dim), and labels int64 (N,) for a model with classes.

    A model of text has `text` in their place: the codes of its sentences, embeddings (N, E) or token ids (N, T).
    """

    def __init__(self, sampler: LatentSampler) -> None:
        super().__init__()
        self.network, self.sampler = sampler.network, sampler
        self.parts = nn.ModuleDict(sampler.parts if sampler.kind == "text" else {})  # to be moved and traced
        conditions = {"class": "labels", "text": "text"}[sampler.kind]
        self.names = ("z", conditions) if sampler.num_classes else ("z",)
        self.dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in self.names)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W)."""
        return self.sampler.synthesize(self.sampler.map(z, labels), labels)

    def examples(self) -> list[Inputs]:
        """Return latents of the prior, and classes in turn, of 3, 1 and 8 images."""
        found: list[Inputs] = []
        for count in (3, 1, 8):
            z = self.sampler.draw(count, generator=torch.Generator().manual_seed(count))
            labels = self.sampler.coded(self.sampler.classes(count))
            found.append((z,) if labels is None else (z, labels))
        return found


class TranslationGraph(Graph):
    """Images from images `image` (N, C, H, W) in [-1, 1], in one direction of a translator.

    A translator with a choice has a second input, the code of each image: `domain` (N, K), the one-hot of a domain or
    the wanted attributes; `style` (N, style_dim); or, where an example alone gives the style, `example`, its code.
    """

    def __init__(self, translator: Translator, direction: str) -> None:
        super().__init__()
        self.network: Any = translator.network(direction)
        self.translator, self.direction = translator, direction
        _, *code = self.examples()[0]
        name = "domain" if translator.targets else "style" if getattr(self.network, "style_dim", 0) else "example"
        self.names = ("image", *(name for _ in code))
        images = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
        self.dynamic = (images, *(images if each.dim() == 4 else {0: torch.export.Dim.DYNAMIC} for each in code))

    def forward(self, image: Tensor, code: Tensor | None = None) -> Tensor:
        """Return images (N, C', H', W')."""
        return self.translator.apply(image, code, self.direction)

    def examples(self) -> list[Inputs]:
        """Return noise in three sizes that the network accepts, and random codes if it takes any."""
        step = self.network.multiple
        side = round_up(max(self.network.minimum, min(16, 4 * step)), step)
        random = torch.Generator().manual_seed(0)
        shapes = [(2, side + step, side + 2 * step), (1, side, side), (1, side + step, side)]
        noise = [2 * torch.rand(n, self.network.in_channels, h, w, generator=random) - 1 for n, h, w in shapes]
        codes = [self.translator.sample_code(images, self.direction, random) for images in noise]
        return [(images,) if code is None else (images, code) for images, code in zip(noise, codes, strict=True)]

    def difference(self, expected: Tensor, found: Tensor) -> float:
        """Return the largest difference of two sets of images; of maps of classes, the share of pixels that differ."""
        if getattr(self.network, "classes", 0) and expected.shape == found.shape:
            return float((expected != found).float().mean())
        return super().difference(expected, found)


def graph_of(trained: Trained, direction: str | None = None) -> Graph:
    """Return the computation of a sampler, or of one direction of a translator (None = the first).

    Its networks are copies on the CPU, in PyTorch's own memory layout: in channels_last, a graph would be bound to the
    sizes of its example.

    Raises:
        ValueError: there is no such direction, or the network does not state the sizes that it takes.
    """
    maker = copy.deepcopy(trained.maker)
    if isinstance(maker, LatentSampler):
        if direction is not None:
            raise ValueError(f"a {trained.name} makes images from noise, in no direction: leave --direction out")
        return LatentGraph(maker).cpu().to(memory_format=torch.contiguous_format)
    if not isinstance(maker, Translator):
        raise ValueError(
            f"a {trained.name} draws its images value by value, which is no graph: export it as safetensors"
        )
    network = maker.network(direction)
    for name in ("in_channels", "multiple", "minimum"):
        if not isinstance(getattr(network, name, None), int):
            raise ValueError(
                f"the network {type(network).__name__} does not state its {name}: give it an int attribute of this "
                "name, see gan_lightning.networks.base.TranslationNetwork"
            )
    network.cpu()  # it may encode examples of the graph's inputs
    graph = TranslationGraph(maker, direction or maker.directions[0])
    return graph.to(memory_format=torch.contiguous_format)


class Format(ABC):
    """A format of graphs: writing a file, and running it again."""

    needs: ClassVar[Sequence[str]] = ()
    """Packages that writing and running need."""
    holds_noise: ClassVar[bool]
    """Whether random numbers of PyTorch can be drawn again by a seed."""

    @abstractmethod
    def write(self, graph: Graph, program: torch.export.ExportedProgram, trained: Trained, path: Path) -> None:
        """Write a traced graph."""

    @abstractmethod
    def load(self, path: Path) -> Callable[[Graph, Inputs], Tensor]:
        """Read a file that `write` wrote, and return a function that computes the images of inputs."""


class ONNX(Format):
    """ONNX, run by onnxruntime on the CPU."""

    needs = ("onnx", "onnxscript", "onnxruntime")
    holds_noise = False

    def write(self, graph: Graph, program: torch.export.ExportedProgram, trained: Trained, path: Path) -> None:
        """Write the graph with its weights into one file."""
        written = torch.onnx.export(
            program,
            (),
            input_names=list(graph.names),
            output_names=["images"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert written is not None
        about = {"model": trained.model, "images_seen": str(trained.images_seen), "gan_lightning": library_version()}
        written.model.metadata_props.update(about)
        written.save(path, external_data=False)

    def load(self, path: Path) -> Callable[[Graph, Inputs], Tensor]:
        """Start a session of onnxruntime."""
        import onnxruntime  # noqa: PLC0415

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def run(graph: Graph, inputs: Inputs) -> Tensor:
            given = {name: value.numpy() for name, value in zip(graph.names, inputs, strict=True)}
            return torch.from_numpy(session.run(["images"], given)[0])

        return run


class ExportedProgram(Format):
    """torch.export's archive, which needs PyTorch alone."""

    holds_noise = True

    def write(self, graph: Graph, program: torch.export.ExportedProgram, trained: Trained, path: Path) -> None:
        """Write the graph with its weights into one file."""
        with path.open("wb") as file:
            torch.export.save(program, file)

    def load(self, path: Path) -> Callable[[Graph, Inputs], Tensor]:
        """Read the program."""
        with path.open("rb") as file:
            module = torch.export.load(file).module()

        def run(graph: Graph, inputs: Inputs) -> Tensor:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(0)
                return module(*inputs)

        return run


FORMATS: dict[str, Format] = {"onnx": ONNX(), "pt2": ExportedProgram()}


def export_graph(trained: Trained, path: Path, format: str, direction: str | None = None) -> tuple[Graph, float]:
    """Write a model as a graph, read it back and compare it with PyTorch; only then the file appears.

    Args:
        trained: the model.
        path: the file, which must not exist.
        format: one of `FORMATS`.
        direction: of a translator. None = the first.

    Returns:
        The graph, and the largest difference from PyTorch on random inputs of several sizes.

    Raises:
        FileExistsError: there is something at `path`.
        ValueError: the model cannot be exported, or the file computes other images than PyTorch.
        ModuleNotFoundError: a package is missing.
        OSError: the file cannot be written.
    """
    chosen = FORMATS[format]
    if missing := [name for name in chosen.needs if find_spec(name) is None]:
        raise ModuleNotFoundError(
            f"--format {format} needs {', '.join(missing)}, which is not installed: pip install 'gan_lightning[onnx]'"
        )
    refuse_existing(path)
    graph = graph_of(trained, direction)
    examples = graph.examples()
    expected = [graph.computed(inputs) for inputs in examples]
    if not chosen.holds_noise and _has_noise(graph, examples[0]):
        raise ValueError(
            f"{trained.name} draws random numbers of its own while it makes images (its networks' dropout or noise), "
            f"and --format {format} cannot hold them: use safetensors or pt2, or, where it is dropout, export the "
            "model without it by --dropout false"
        )
    differences: list[float] = []

    def write(part: Path) -> None:
        with _quiet(), private.any_sizes():
            try:
                program = torch.export.export(graph, examples[0], dynamic_shapes=graph.dynamic, strict=False)
                chosen.write(graph, program, trained, part)
                run = chosen.load(part)
                for inputs, images in zip(examples, expected, strict=True):
                    differences.append(graph.difference(images, run(graph, inputs)))
            except OSError:
                raise
            except Exception as error:  # networks of any kind fail in many ways
                raise ValueError(
                    f"the networks of {trained.name} cannot be written as {format} "
                    f"({type(error).__name__}: {one_line(str(error))[:300]}): use safetensors, or change what cannot "
                    "be traced"
                ) from error
        if not max(differences) <= TOLERANCE:
            raise ValueError(
                f"the {format} file of {trained.name} differs from PyTorch by {max(differences):.1e}, and at most "
                f"{TOLERANCE:g} is allowed: it was not kept; use safetensors, and report it to the project"
            )

    write_whole(path, write)
    return graph, max(differences)


def _has_noise(graph: Graph, inputs: Inputs) -> bool:
    """Return whether images depend on the random state, and not on the inputs alone."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        return not torch.equal(graph(*inputs), graph.computed(inputs))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters, which speak of their own insides to their developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
