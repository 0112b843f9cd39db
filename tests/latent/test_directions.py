"""Directions in closed form and by principal components, their file and their strips."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from every_model import AFFINE
from gan_lightning.inference import LatentSampler
from gan_lightning.latent import Directions, LatentSpace, directions, factorise, image_names, principal
from gan_lightning.latent.commands.images import directions as command
from gan_lightning.latent.directions import FirstLayers
from gan_lightning.networks import ACGANGenerator, ProGANGenerator, StyleGANGenerator
from models.test_dcgan import dcgan
from toys import StyledGenerator, ToyGenerator, read_png

CLASSES: dict[str, Any] = {"latent_dim": 6, "image_size": 16, "channels": 1, "width": 4, "num_classes": 3}
HOW: dict[str, Any] = {"trusted": ["toys"], "device": "cpu"}


def cosines(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() * b.double()).sum(dim=1).abs()


def space(network: nn.Module, name: Any = None, **how: Any) -> LatentSpace:
    return LatentSpace(LatentSampler(network), name, **how)


class Layered(nn.Module):
    """Styles of three layers, each of which modulates a convolution of its own, on squared latents."""

    latent_dim = 4

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.affine = nn.Linear(5, 6)
            self.weight = nn.Parameter(torch.randn(6, 6, 3, 3) / 5)

        def forward(self, x: Tensor, w: Tensor) -> Tensor:
            return nn.functional.conv2d(x * self.affine(w)[:, :, None, None], self.weight, padding=1).relu_()

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.constant = nn.Parameter(torch.randn(1, 6, 4, 4))
        self.layers = nn.ModuleList(self.Layer() for _ in range(3))
        self.to_image = nn.Conv2d(6, 1, 1)

    def mapping(self, z: Tensor) -> Tensor:
        w = self.first(z.square()).tanh()
        return w[:, None].repeat(1, 3, 1)

    def synthesis(self, w: Tensor) -> Tensor:
        x = self.constant.expand(len(w), -1, -1, -1)
        for layer, style in zip(self.layers, w.unbind(dim=1), strict=True):
            x = layer(x, style)
        return self.to_image(x).tanh()


# ---------------------------------------------------------------------- closed form


def test_a_diagonal_layer_gives_its_axes_in_order() -> None:
    network = ToyGenerator()
    with torch.no_grad():
        network.net[0].weight.zero_()
        network.net[0].weight[2, 0], network.net[0].weight[7, 1], network.net[0].weight[5, 2] = 1.0, -3.0, 2.0
    found = factorise(space(network))
    assert torch.equal(found.vectors, torch.eye(3)[[1, 2, 0]])  # the largest entry is positive
    torch.testing.assert_close(found.shares, torch.tensor([9.0, 4.0, 1.0]) / 14)
    torch.testing.assert_close(found.scales, torch.ones(3), atol=0.05, rtol=0)  # standard deviations of z


@pytest.mark.parametrize(
    ("build", "matrix"),
    [
        (lambda: dcgan().averaged_generator, lambda net: net.net[0].weight.flatten(1).T),
        (lambda: ACGANGenerator(**CLASSES), lambda net: net.net[0].weight[:, :6]),  # beside it are those of the classes
    ],
)
def test_the_eigenvectors_are_those_of_the_first_layers_weights(build: Any, matrix: Callable[[Any], Tensor]) -> None:
    torch.manual_seed(0)
    sampler = LatentSampler(build())
    found = factorise(LatentSpace(sampler, batch_size=4))
    a = matrix(sampler.network).detach().double()
    values, vectors = torch.linalg.eigh(a.T @ a)
    torch.testing.assert_close(cosines(found.vectors, vectors.T.flip(0)), torch.ones(len(values)).double())
    torch.testing.assert_close(found.shares, (values.flip(0) / values.sum()).float())
    stretched = (a @ found.vectors.double().T).square().sum(dim=0)  # ‖A n‖² is the eigenvalue
    torch.testing.assert_close(stretched, values.flip(0), atol=1e-6, rtol=1e-4)
    assert found.shares.sum().item() == pytest.approx(1)
    assert len(factorise(LatentSpace(sampler), count=2)) == 2


def test_all_layers_that_styles_enter_count() -> None:
    torch.manual_seed(0)
    network = Layered()
    layers = FirstLayers(space(network))
    assert layers.names == [f"layers.{number}.affine" for number in range(3)]
    found = factorise(space(network))
    a = torch.cat([layer.affine.weight for layer in network.layers]).detach().double()
    vectors = torch.linalg.eigh(a.T @ a).eigenvectors
    torch.testing.assert_close(cosines(found.vectors, vectors.T.flip(0)), torch.ones(5).double())
    with pytest.raises(ValueError, match="no layer of Layered is affine in z, so that nothing can be factorised"):
        factorise(space(network, "z"))
    points = space(network).points(image_names("0,1"))
    assert torch.equal(found.move(points, 2, torch.zeros(2)), points)
    moved = found.move(points, 2, torch.tensor([1.0, -2.0])) - points
    torch.testing.assert_close(
        moved, (torch.tensor([1.0, -2.0])[:, None] * found.vectors[2] * found.scales[2])[:, None].expand(-1, 3, -1)
    )


@pytest.mark.parametrize("classes", [0, 3])
def test_a_norm_of_latents_in_front_of_the_first_layer_is_passed_over(classes: int) -> None:
    torch.manual_seed(0)
    network = ProGANGenerator(6, image_size=16, channels=1, width=4, num_classes=classes)
    found = factorise(space(network))
    a = network.start.weight[:, :6].detach().double()
    vectors = torch.linalg.eigh(a.T @ a).eigenvectors
    torch.testing.assert_close(cosines(found.vectors, vectors.T.flip(0)), torch.ones(6).double())
    styled = StyleGANGenerator(6, 5, image_size=16, channels=1, width=4)
    assert FirstLayers(space(styled, "z")).names == ["mapping.layers.0"]
    assert FirstLayers(space(styled, "w")).names == [f"layers.{i}.style" for i in range(6)]


@pytest.mark.parametrize("build", AFFINE, ids=lambda build: build.__name__)
def test_every_model_has_a_first_layer_and_is_left_as_it_was(build: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    model = build()
    network = model.generator.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    where = LatentSpace(model.sampler)
    layers = FirstLayers(where)
    z = where.points(image_names("0-4"))
    direct = layers.outputs(z)
    torch.testing.assert_close(direct[0] - direct[1], layers.outputs((z[0] - z[1])[None] + z[2])[0] - direct[2])
    assert not layers.activations(z).requires_grad
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(part.training and not part._forward_hooks and not part._forward_pre_hooks for part in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


# ---------------------------------------------------------------------- principal components


class Linear(nn.Module):
    """Styles that are a linear map of latents."""

    latent_dim = 4

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.linalg.qr(torch.randn(width, 4)).Q * torch.tensor([4.0, 3.0, 2.0, 1.0]))

    def mapping(self, z: Tensor) -> Tensor:
        return z @ self.matrix.T + 100

    def synthesis(self, w: Tensor) -> Tensor:
        return w[:, :4].reshape(-1, 1, 2, 2).tanh()


@pytest.mark.parametrize("limit", [1024, 3])
def test_components_of_styles_are_those_of_their_covariance(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, and by subspace iteration."""
    monkeypatch.setattr(directions, "MOST_FEATURES", limit)
    torch.manual_seed(0)
    network = Linear(30)
    found = principal(space(network, batch_size=999), samples=20_000)
    axes = nn.functional.normalize(network.matrix.detach().T, dim=1)
    assert len(found) == 4  # there is no variance in others
    assert cosines(found.vectors, axes).min() > 0.999
    torch.testing.assert_close(found.scales, torch.tensor([4.0, 3.0, 2.0, 1.0]), rtol=0.05, atol=0)
    assert found.shares.sum().item() == pytest.approx(1)
    torch.testing.assert_close(found.shares, torch.tensor([16.0, 9.0, 4.0, 1.0]) / 30, atol=0.01, rtol=0)
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(4), atol=1e-5, rtol=0)
    again = principal(space(network, batch_size=64), samples=20_000)
    torch.testing.assert_close(again.vectors, found.vectors, atol=1e-4, rtol=0)  # whatever the batch size


def test_without_styles_latents_are_regressed_on_activations() -> None:
    """Of one linear layer, these are its right singular vectors."""
    torch.manual_seed(0)
    network = ToyGenerator()
    with torch.no_grad():
        network.net[0].weight *= torch.tensor([4.0, 2.0, 1.0])
    found = principal(space(network), samples=20_000)
    vectors = torch.linalg.svd(network.net[0].weight.detach()).Vh
    assert cosines(found.vectors, vectors).min() > 0.99
    assert found.shares.sum().item() == pytest.approx(1)


def test_the_activations_are_what_enters_the_second_layer() -> None:
    torch.manual_seed(0)
    sampler = LatentSampler(ACGANGenerator(**CLASSES))
    z, labels = sampler.draw(5), torch.tensor([0, 1, 2, 0, 1])
    network = sampler.network
    with torch.no_grad():
        first = network.eval().net[:3](torch.cat([z, nn.functional.one_hot(labels, 3)], dim=1))
    layers = FirstLayers(LatentSpace(sampler))
    torch.testing.assert_close(layers.activations(z, labels), first.flatten(1))
    assert (first >= 0).all()  # after the ReLU


def test_latents_that_change_nothing_are_a_sentence() -> None:
    network = ToyGenerator()
    nn.init.zeros_(network.net[0].weight)
    for find in (factorise, principal):
        with pytest.raises(ValueError, match="the latents change nothing in the generator's first layer"):
            find(space(network))


# ---------------------------------------------------------------------- files and pictures


def test_a_file_gives_the_same_directions_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = StyledGenerator(num_classes=3)
    found = principal(space(network), samples=500)
    path = tmp_path / "new" / "w.safetensors"
    found.save(path)
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    read = Directions.load(path)
    assert all(torch.equal(getattr(read, name), getattr(found, name)) for name in ("vectors", "scales", "shares"))
    assert (read.space, read.method, read.about) == ("w", "principal components", found.about)
    assert read.about == {"network": "StyledGenerator", "samples": "500", "seed": "0"}
    read.check(space(network))
    for other in (space(network, "z"), space(ToyGenerator())):
        with pytest.raises(ValueError, match="are of a space w of 4 components, and the model's z has 3"):
            read.check(other)


@pytest.mark.parametrize(
    ("facts", "tensors"),
    [
        ({}, {}),
        ({"kind": "weights"}, {}),
        ({"version": "2"}, {}),
        ({"about": "["}, {}),
        ({"about": "[]"}, {}),
        ({"space": "v"}, {}),
        ({"method": "magic"}, {}),
        (None, {"scales": torch.ones(3)}),
        (None, {"vectors": torch.ones(2, 2, 2)}),
        (None, {"vectors": torch.full((2, 4), float("nan"))}),
        (None, {"shares": torch.ones(2, dtype=torch.int64)}),
    ],
)
def test_any_other_file_is_a_sentence(facts: dict[str, str] | None, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    good = {
        "kind": "gan_lightning directions",
        "version": "1",
        "space": "z",
        "method": "factorisation",
        "about": json.dumps({}),
    }
    content = {"vectors": torch.eye(2, 4), "scales": torch.ones(2), "shares": torch.ones(2)}
    path = tmp_path / "d.safetensors"
    save_file(content, path, good)
    assert len(Directions.load(path)) == 2
    save_file(content | tensors, path, {} if facts == {} else good | (facts or {}))
    with pytest.raises(ValueError, match=r"d\.safetensors holds (no )?directions"):
        Directions.load(path)
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="holds no directions"):
        Directions.load(path)
    with pytest.raises(FileNotFoundError, match="a file of directions that"):
        Directions.load(tmp_path / "absent.safetensors")


def test_the_command_writes_a_file_and_strips(
    styled: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(styled, tmp_path / "w.safetensors", "pca", samples=200, seeds="3,4,5", classes="2", show=2, steps=5, **HOW)
    assert "4 directions of w by principal components" in (said := capsys.readouterr().out)
    assert "1: " in said
    assert Directions.load(tmp_path / "w.safetensors").space == "w"
    assert read_png(tmp_path / "w.png").shape[1] == 22 + 6 * 68
    command(plain, tmp_path / "z.safetensors", count=2, **HOW)
    assert read_png(tmp_path / "z.png").shape[1] == 22 + 4 * 68
    for how, sentence in (
        ({"out": tmp_path / "x.png"}, r"x\.png cannot be written: name a file that ends in \.safetensors"),
        ({"classes": "0"}, "makes images without classes"),
        ({"space": "w"}, "ToyGenerator has no space w"),
        ({"count": 0}, "count=0 is out of range"),
    ):
        with pytest.raises(ValueError, match=sentence):
            command(**{"checkpoint": plain, "out": tmp_path / "x.safetensors"} | HOW | how)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"w.safetensors", "w.png", "z.safetensors", "z.png"}
