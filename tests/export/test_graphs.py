"""Graphs: every model as ONNX and .pt2 computes what PyTorch does, at any size, or is refused in a sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from every_model import KINDS, builder_of
from gan_lightning.data.growth import Growth
from gan_lightning.export import Trained
from gan_lightning.export.graphs import FORMATS, OPSET, ExportedProgram, export_graph
from gan_lightning.families import Autoregressive
from gan_lightning.inference import DomainTranslator, LatentSampler, Policy, StyleTranslator, Translator
from gan_lightning.models import CGAN, Pix2Pix
from gan_lightning.networks import DCGANGenerator
from gan_lightning.recording import Network, path_of
from growing import GROWTH, GrowingGenerator
from tiny import SMALL
from toys import BrightnessClassifier, DomainNetwork, ExampleNetwork, StyleNetwork

FAST = {("CGAN", "onnx"), ("SRGAN", "onnx"), ("Pix2Pix", "onnx"), ("Pix2Pix", "pt2"), ("DCGAN", "pt2")}


def trained(kind: type) -> Trained:
    """A tiny model whose images are far from grey."""
    torch.manual_seed(0)
    model = builder_of(kind)()
    for parameter in model.averaged_generator.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter)
    return Trained(model.sampler or model.translator, path_of(kind))


def inputs_of(maker: Any, count: int) -> tuple[Tensor, ...]:
    if isinstance(maker, LatentSampler):
        labels = maker.classes(count, first=1)
        return (maker.draw(count),) if labels is None else (maker.draw(count), labels)
    network: Any = maker.network()
    side = network.multiple * max(3, -(-network.minimum // network.multiple))
    images = torch.rand(count, network.in_channels, side, side + 2 * network.multiple) * 2 - 1
    code = maker.sample_code(images, None, torch.Generator().manual_seed(count))
    return (images,) if code is None else (images, code)


def run(path: Path, inputs: tuple[Tensor, ...], names: tuple[str, ...]) -> Tensor:
    """The images of a file, without this library."""
    if path.suffix == ".pt2":
        with torch.no_grad():
            return torch.export.load(path).module()(*inputs)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert tuple(each.name for each in session.get_inputs()) == names
    return torch.from_numpy(session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))[0])


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        pytest.param(kind, name, marks=[] if (kind.__name__, name) in FAST else pytest.mark.slow)
        for kind in KINDS
        for name in FORMATS
        if kind.__name__ not in ("DANN", "ControllableInvariance")  # they make no images
        and not issubclass(kind, Autoregressive)
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_graph_computes_what_the_model_does(kind: type, format: str, tmp_path: Path) -> None:
    model = trained(kind)
    path = tmp_path / f"model.{format}"
    noisy = kind is Pix2Pix
    if noisy and format == "onnx":
        with pytest.raises(
            ValueError, match=r"Pix2Pix draws random numbers .* onnx cannot hold them: .*--dropout false"
        ):
            export_graph(model, path, format)
        assert not list(tmp_path.iterdir())
        maker: Any = model.maker
        model = model._replace(maker=Translator(maker.networks, Policy(dropout=False, batch_norm="instance")))
    state = torch.get_rng_state()
    graph, difference = export_graph(model, path, format)
    assert difference < 1e-4
    assert torch.equal(torch.get_rng_state(), state)
    for count in (1, 5):
        inputs = inputs_of(model.maker, count)
        torch.manual_seed(3)
        expected = model_images(model.maker, inputs)
        assert expected.std() > 0.05
        torch.manual_seed(3)
        found = run(path, inputs, graph.names)
        assert found.shape == expected.shape
        assert graph.difference(expected, found) < 1e-4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, Autoregressive)])
def test_images_drawn_value_by_value_are_no_graph(kind: type, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"draws its images value by value, which is no graph: export it as safetens"):
        export_graph(trained(kind), tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def model_images(maker: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    return maker.images(*inputs) if isinstance(maker, LatentSampler) else maker.apply(*inputs)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("translator", "name"),
    [
        (DomainTranslator(DomainNetwork(), ["a", "b", "c"]), "domain"),
        (DomainTranslator(DomainNetwork(), ["a", "b", "c"], [], BrightnessClassifier()), "domain"),
        (StyleTranslator(StyleNetwork()), "style"),
        (StyleTranslator(ExampleNetwork()), "example"),
    ],
    ids=["domains", "attributes", "style", "example"],
)
def test_the_code_of_a_choice_is_an_input(translator: Any, name: str, format: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{format}"
    graph, difference = export_graph(Trained(translator), path, format)
    assert difference < 1e-5
    assert graph.names == ("image", name)
    images = torch.rand(5, 1, 8, 6) * 2 - 1
    code = translator.sample_code(images, None, torch.Generator().manual_seed(1))
    assert torch.allclose(run(path, (images, code), graph.names), translator.apply(images, code), atol=1e-6)


def test_an_onnx_file_states_its_opset_its_model_and_its_free_dimensions(tmp_path: Path) -> None:
    import onnx

    export_graph(trained(CGAN), tmp_path / "model.onnx", "onnx")
    model = onnx.load(tmp_path / "model.onnx")
    assert [(each.domain, each.version) for each in model.opset_import if not each.domain] == [("", OPSET)]
    assert {each.key: each.value for each in model.metadata_props}["model"] == "gan_lightning.models.cgan.CGAN"
    shapes = {each.name: each.type.tensor_type.shape.dim for each in [*model.graph.input, *model.graph.output]}
    assert {name: [d.dim_value or "free" for d in dims] for name, dims in shapes.items()} == {
        "z": ["free", 6],
        "labels": ["free"],
        "images": ["free", 1, 16, 16],
    }


def test_a_generators_own_noise_is_not_lost_in_silence(tmp_path: Path) -> None:
    sampler = LatentSampler(GrowingGenerator(Growth(**GROWTH)))
    with pytest.raises(ValueError, match=r"LatentSampler draws random numbers of its own"):
        export_graph(Trained(sampler), tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())


class Untraceable(Network):
    """A network whose path depends on its values."""

    latent_dim = 2

    def forward(self, z: Tensor) -> Tensor:
        return (z if z.sum() > 0 else -z)[:, :, None, None]


@pytest.mark.parametrize("format", FORMATS)
def test_a_network_that_cannot_be_traced_is_refused(format: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the networks of LatentSampler cannot be written as .*: use safetensors"):
        export_graph(Trained(LatentSampler(Untraceable())), tmp_path / "model", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [0.01, float("nan")])
def test_a_file_with_other_images_is_not_kept(error: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ExportedProgram.load

    def load(self: ExportedProgram, path: Path) -> Any:
        run = real(self, path)
        return lambda graph, inputs: run(graph, inputs) + error

    monkeypatch.setattr(ExportedProgram, "load", load)
    with pytest.raises(ValueError, match=r"differs from PyTorch by .*at most 0\.001 is allowed: it was not kept"):
        export_graph(Trained(LatentSampler(DCGANGenerator(6, **SMALL))), tmp_path / "model.pt2", "pt2")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_lightning.export.graphs.find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"onnx, onnxscript, onnxruntime.*pip install 'gan_lightning\[onnx\]'"
    ):
        export_graph(Trained(LatentSampler(DCGANGenerator(6, **SMALL))), tmp_path / "model.onnx", "onnx")
