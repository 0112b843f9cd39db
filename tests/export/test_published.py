"""Published weights, output for output: each layout as a plain network, and the model that is made from its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gan_lightning
from export import published_networks as theirs
from gan_lightning.cli.commands import main
from gan_lightning.export import read_published
from gan_lightning.export.files import networks_of
from gan_lightning.inference import LatentSampler, Translator

CLOSE = 2e-6


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights and running statistics that differ from those of a new one."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1, generator=generator)
        elif name.endswith("running_var") or (name.endswith("weight") and value.dim() == 1):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("weight"):
            value.normal_(0, 2 / value[0].numel() ** 0.5, generator=generator)
    return network


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "latest_net_G.pth")
    return folder / "latest_net_G.pth"


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def difference(network: nn.Module, folder: Path, source: Tensor, unit: bool = False, training: bool = False) -> float:
    """The largest difference of what a network and the model imported from its file make of images.

    Args:
        network: with trained weights.
        folder: for its file.
        source: images in [-1, 1].
        unit: the network's images are in [0, 1].
        training: the project's test script leaves the network in training mode, with one image at a time.
    """
    found, _ = read_published(saved(network.state_dict(), folder))
    assert isinstance(found.maker, Translator)
    network.train(training)
    torch.manual_seed(3)
    with torch.no_grad():
        expected = torch.cat([network((image[None] + 1) / 2 if unit else image[None]) for image in source])
    torch.manual_seed(3)
    made = torch.cat([found.maker.translate(image[None]) for image in source])
    assert made.std() > 0.05
    return float((made - (2 * expected.clamp(0, 1) - 1 if unit else expected)).abs().max())


@pytest.mark.parametrize("blocks", [6, 9])
@pytest.mark.parametrize("filters", [False, True], ids=["cyclegan", "cut"])
def test_the_resnet_of_cyclegan_and_cut(blocks: int, filters: bool, tmp_path: Path) -> None:
    network = trained(theirs.ResNet(blocks=blocks, filters=filters))
    assert difference(network, tmp_path, images(2, 3, 24, 32), training=True) < CLOSE
    _, layout = read_published(tmp_path / "latest_net_G.pth")
    assert layout == ("cut" if filters else "cyclegan")


def test_a_resnet_trained_with_dropout_keeps_it_on_as_the_test_script_does(tmp_path: Path) -> None:
    assert difference(trained(theirs.ResNet(dropout=True)), tmp_path, images(2, 3, 24, 32), training=True) < CLOSE


@pytest.mark.parametrize("depth", [5, 6, 7, 8])
def test_the_u_net_of_pix2pix_keeps_dropout_and_the_statistics_of_each_image(depth: int, tmp_path: Path) -> None:
    network = trained(theirs.UNet(depth, width=2))
    assert difference(network, tmp_path, images(2, 3, 2**depth, 2**depth), training=True) < 2 * CLOSE


def test_the_u_net_with_instance_norm_is_cyclegans_without_dropout(tmp_path: Path) -> None:
    network = trained(theirs.UNet(batch_norm=False, dropout=False))
    assert difference(network, tmp_path, images(2, 3, 64, 128), training=True) < 2 * CLOSE


@pytest.mark.parametrize(
    "build",
    [theirs.RRDBNet, lambda: theirs.RRDBNet(basicsr=True), theirs.OldRRDBNet, lambda: theirs.OldRRDBNet(doublings=1)],
    ids=["esrgan", "basicsr", "old", "old x2"],
)
def test_the_rrdb_of_esrgan_in_all_generations(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    assert difference(trained(build()), tmp_path, images(2, 3, 9, 7), unit=True) < CLOSE


@pytest.mark.parametrize("name", ["conv", "conv_block"])
@pytest.mark.parametrize("doublings", [1, 2])
def test_srresnet_under_its_newer_and_older_names(name: str, doublings: int, tmp_path: Path) -> None:
    network = trained(theirs.SRResNet(name=name, doublings=doublings))
    assert difference(network, tmp_path, images(2, 3, 9, 7), unit=True) < CLOSE


@pytest.mark.parametrize("size", [16, 32, 64])
def test_the_dcgan_of_pytorchs_example(size: int, tmp_path: Path) -> None:
    network = trained(theirs.DCGAN(size=size))
    found, layout = read_published(saved(network.state_dict(), tmp_path))
    assert (layout, found.name) == ("dcgan", "DCGAN")
    assert isinstance(found.maker, LatentSampler)
    z = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (network.eval()(z) - found.maker.images(z)).abs().max() < CLOSE


def without_counts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def with_statistics(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As PyTorch before 0.4 saved a network with instance norm."""
    return state | {"model.2.running_mean": torch.zeros(4), "model.2.running_var": torch.ones(4)}


@pytest.mark.parametrize(
    ("build", "change"),
    [
        (theirs.ResNet, with_statistics),
        (theirs.DCGAN, without_counts),
        (theirs.ResNet, lambda state: {f"module.{name}": value for name, value in state.items()}),
        (lambda: theirs.RRDBNet(basicsr=True), lambda state: {"params": {}, "params_ema": state}),
        (theirs.SRResNet, lambda state: {"state_dict": state, "epoch": 7, "best_psnr": 28.5}),
        (theirs.RRDBNet, lambda state: {name: value.half() for name, value in state.items()}),
    ],
    ids=["instance norm before 0.4", "batch norm before 0.4.1", "DataParallel", "BasicSR", "checkpoint", "half"],
)
def test_files_are_cleaned_of_what_is_no_weight_of_the_generator(
    build: Callable[[], nn.Module], change: Callable[[Any], Any], tmp_path: Path
) -> None:
    state = trained(build()).state_dict()
    first, _ = read_published(saved(state, tmp_path))
    second, _ = read_published(saved(change(state), tmp_path))
    (one,), (other,) = (networks_of(found.maker).values() for found in (first, second))
    for value, same in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.allclose(value, same, rtol=1e-3, atol=1e-3)


def lacking(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            lambda: lacking(theirs.ResNet().state_dict(), "model.10.conv_block.1.bias"),
            "lacks model.10.conv_block.1.bias",
        ),
        (lambda: theirs.ResNet().state_dict() | {"extra.weight": torch.ones(2)}, "extra.weight in it is left over"),
        (
            lambda: theirs.ResNet().state_dict() | {"model.4.bias": torch.ones(5)},
            "its model.4.bias is 5, where 8 belongs",
        ),
        (lambda: theirs.ResNet().state_dict() | {"model.2.weight": torch.ones(4)}, "model.2.weight"),
        (lambda: theirs.RRDBNet(basicsr=True, taken=12).state_dict(), "takes 12 channels and makes 3"),
        (lambda: {"conv.weight": torch.ones(3)}, "the layers of no layout that is known (conv.weight)"),
        (dict, "the layers of no layout that is known (none at all)"),
        (lambda: {1: torch.ones(3)}, "it is not a dictionary of tensors"),
        (lambda: theirs.ResNet().state_dict() | {"model.4.bias": torch.full((8,), torch.nan)}, "not finite"),
        (lambda: theirs.DCGAN().state_dict() | theirs.SRResNet().state_dict(), "srresnet or dcgan: say which"),
        (lambda: [1, 2], "it is not a dictionary of tensors"),
        (lambda: theirs.ResNet(filters=True).state_dict() | {"model.7.filt": torch.ones(8, 1, 3, 3)}, "another blur"),
        (lambda: {"main.0.weight": torch.ones(1).expand(10**6, 10**6, 4, 4)}, "without the numbers for it"),
        (
            lambda: theirs.DCGAN().state_dict() | {"main.0.weight": torch.ones(3)},
            "its main.0.weight is 3, and no kernel",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(
    content: Callable[[], Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(content(), tmp_path)
    assert main(["import", str(file), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_command_writes_a_folder_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(trained(theirs.UNet()).state_dict(), tmp_path)
    assert main(["import", str(file), str(tmp_path / "out"), "--license", "mit"]) == 0
    assert capsys.readouterr().out.startswith(f"Pix2Pix written to {tmp_path / 'out'} (UNetGenerator, ")
    translator = gan_lightning.load(tmp_path / "out")
    assert isinstance(translator, Translator)
    assert translator.policy.dropout
    assert translator.policy.batch_norm == "instance"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "imported from pytorch-CycleGAN-and-pix2pix's U-Net" in card
    assert "license: mit" in card
    assert main(["import", str(file), str(tmp_path / "out")]) == 2  # nothing is replaced
    assert "replaces nothing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pix2pix", "nonsense"])
def test_another_layout_than_the_files_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(theirs.DCGAN().state_dict(), tmp_path)
    assert main(["import", str(file), str(tmp_path / "out"), "--as", name]) == 2
    said = capsys.readouterr().err
    assert (
        "of the layout pix2pix, since it lacks model.model.0.weight" if name == "pix2pix" else "as: 'nonsense'"
    ) in said


def test_the_face_generator_makes_faces(real_data: Path) -> None:
    """Left and right are alike in the mean, and in the middle is more colour of skin than around."""
    found, layout = read_published(real_data / "pretrained" / "dcgan_faces64_generator.pth")
    assert layout == "dcgan"
    assert isinstance(found.maker, LatentSampler)
    made = found.maker.sample(256, seed=0)
    assert made.shape == (256, 3, 64, 64)
    mean = made.mean(dim=0)
    assert (mean - mean.flip(2)).abs().mean() < 0.05
    redness = mean[0] - mean[2]
    assert redness[20:50, 20:44].mean() > redness[:, [0, 1, 2, 61, 62, 63]].mean() + 0.1
