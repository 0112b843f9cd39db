"""Weights that other projects have published, as exported models of this library.

A layout says how a project names the layers of a generator. Its table gives each of these names the name of the same
layer here; sizes are read off the shapes. The imported model makes images as the project's own test script does.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gan_lightning.building import limited_building
from gan_lightning.data.files import shown
from gan_lightning.export.files import SPARE, Maker, Trained, networks_of
from gan_lightning.inference import LatentSampler, Policy, Translator
from gan_lightning.networks import DCGANGenerator, ResNetGenerator, RRDBGenerator, SRResNetGenerator, UNetGenerator
from gan_lightning.weights import read_weights

LayoutName = Literal["cyclegan", "cut", "pix2pix", "esrgan", "srresnet", "dcgan"]
Weights = Mapping[str, Tensor]
Table = Iterator[tuple[str, str]]
"""Pairs of the name of a layer in a published file, and the name of the same layer here."""

ADVICE = "give the state dict of a generator that the project has published"
INSIDE = ("params_ema", "params", "state_dict")
"""Names under which published files hold a generator: BasicSR's averaged weights and others, training checkpoints."""
_MOST = 6  # names that a sentence lists
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Plan(NamedTuple):
    """What a layout makes of a file.

    Args:
        maker: the sampler or translator, with a network whose weights are not set yet.
        table: the names of its layers.
        unbiased: beginning of the names here of layers whose convolutions have no bias in the file, since batch norm
            follows; their bias here is 0.
        fixed: tensors of the file that never learn, and their values: the kernels of blurs.
    """

    maker: Maker
    table: Table
    unbiased: str | None = None
    fixed: Mapping[str, Tensor] = {}


class Layout(NamedTuple):
    """The names of a generator's layers in a project's files.

    Args:
        source: the project and its file, for readers.
        model: import path of the model of this library that trains such a generator.
        fits: says whether a file has this layout, from the names in it.
        plan: makes the network of a file.
    """

    source: str
    model: str
    fits: Callable[[Iterable[str]], bool]
    plan: Callable[[Weights], Plan]


def read_published(path: Path, layout: LayoutName | None = None) -> tuple[Trained, LayoutName]:
    """Read published weights into a generator of this library. No code from the file is run.

    Args:
        path: a file of PyTorch's or of safetensors: a state dict, or a checkpoint with one under a name of `INSIDE`.
        layout: the project's layout. None = it is recognised.

    Returns:
        The model, and its layout.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no weights, of no known layout, of several, or with layers that the layout does not have
            or lacks.
    """
    try:
        found = read_weights(path, INSIDE)
    except ValueError as error:
        raise ValueError(f"{shown(path)} does not hold weights, since {error}: {ADVICE}") from error
    weights = _cleaned(found)
    name = layout or _recognised(path, weights)
    try:
        with limited_building(shown(path), weights, ADVICE, spare=SPARE):
            plan = LAYOUTS[name].plan(weights)
        (network,) = networks_of(plan.maker).values()
        network.load_state_dict(_mapped(weights, network.state_dict(), plan))
    except ValueError as error:
        raise ValueError(f"{shown(path)} is not a generator of the layout {name}, since {error}: {ADVICE}") from error
    network.eval().requires_grad_(False)
    return Trained(plan.maker, LAYOUTS[name].model), name


def _recognised(path: Path, weights: Weights) -> LayoutName:
    fitting = [name for name, layout in LAYOUTS.items() if layout.fits(weights)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{name} ({layout.source})" for name, layout in LAYOUTS.items())
    if fitting:
        raise ValueError(f"{shown(path)} may be {' or '.join(fitting)}: say which of them by --as")
    raise ValueError(
        f"{shown(path)} has the layers of no layout that is known ({_listed(weights) or 'none at all'}): give a "
        f"generator of {known}"
    )


def _cleaned(weights: Weights) -> dict[str, Tensor]:
    """Return the weights without what says nothing of the generator, and floating-point numbers in float32.

    These are the prefix of `DataParallel`, and the running statistics of layers without weights: instance norms of
    PyTorch before 0.4 kept them, and the projects do not use them either.
    """
    wrapped = bool(weights) and all(name.startswith("module.") for name in weights)
    bare = {name.removeprefix("module.") if wrapped else name: value for name, value in weights.items()}
    return {
        name: (value.float() if value.is_floating_point() else value).detach()
        for name, value in bare.items()
        if not (name.endswith(_STATISTICS) and f"{name.rpartition('.')[0]}.weight" not in bare)
    }


def _mapped(weights: Weights, own: Weights, plan: Plan) -> dict[str, Tensor]:
    """Return the weights by the names of the network here.

    Args:
        weights: by their names in the file.
        own: the state dict of the network, for names and shapes.
        plan: the table, and what the file need not have.

    Raises:
        ValueError: a weight is missing, left over or of another shape; the message says which.
    """
    theirs = {ours: published for published, ours in plan.table}
    mapped, missing, used = {}, [], {*plan.fixed}
    for name, value in own.items():
        layer, _, part = name.rpartition(".")
        published = f"{theirs[layer]}.{part}" if layer in theirs else ""
        if published in weights:
            given = weights[published]
            if given.shape != value.shape:
                raise ValueError(f"its {published} is {_sized(given)}, where {_sized(value)} belongs")
            if not given.isfinite().all():
                raise ValueError(f"its {published} has numbers that are not finite")
            mapped[name] = given
            used.add(published)
        elif part == "num_batches_tracked" or (part == "bias" and _is_unbiased(layer, own, plan)):
            mapped[name] = torch.zeros_like(value)  # PyTorch before 0.4.1 did not count batches
        else:
            missing.append(published or name)
    over = [name for name in weights if name not in used]
    complaints = [f"it lacks {_listed(missing)}"] if missing else []
    complaints += [f"{_listed(over)} in it {'is' if len(over) == 1 else 'are'} left over"] if over else []
    if complaints:
        raise ValueError(" and ".join(complaints))
    for name, value in plan.fixed.items():
        if weights[name].shape != value.shape or not torch.allclose(weights[name], value):
            raise ValueError(f"its {name} is another blur than the one that the project has published")
    return mapped


def _is_unbiased(layer: str, own: Weights, plan: Plan) -> bool:
    return plan.unbiased is not None and layer.startswith(plan.unbiased) and own[f"{layer}.weight"].dim() == 4


def _sized(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST:,} more" if len(names) > _MOST else "")


def _sizes(weights: Weights, name: str) -> tuple[int, int]:
    """Return the channels of a convolution's kernel, its first two sizes.

    Raises:
        ValueError: there is no such kernel.
    """
    if name not in weights:
        raise ValueError(f"it lacks {name}")
    if weights[name].dim() != 4 or 0 in weights[name].shape:
        raise ValueError(f"its {name} is {_sized(weights[name])}, and no kernel of a convolution")
    return weights[name].shape[0], weights[name].shape[1]


def _number(weights: Weights, name: str, first: int = 0, step: int = 1) -> int:
    """Return how many layers a file has, counted from `first` on until `name`, with the number put in, is not there."""
    return next(n for n in count() if name.format(first + n * step) not in weights)


def _having(*patterns: str) -> Callable[[Iterable[str]], bool]:
    """Return a function that says whether each of these patterns is that of some name."""
    return lambda names: all(any(re.fullmatch(pattern, name) for name in names) for pattern in patterns)


# CycleGAN and CUT: "model.1" is a convolution, after a layer that only pads


def _resnet(weights: Weights, antialias: bool) -> Plan:
    width, in_channels = _sizes(weights, "model.1.weight")
    first = 12 if antialias else 10  # of the residual blocks
    dropped = f"model.{first}.conv_block.6.weight" in weights  # dropout moves the second convolution from place 5
    blocks = _number(weights, f"model.{{}}.conv_block.{6 if dropped else 5}.weight", first)
    if not blocks:
        raise ValueError(
            f"it lacks model.{first}.conv_block.5: residual blocks whose borders are reflected are the only ones here"
        )
    out_channels, _ = _sizes(weights, f"model.{first + blocks + (9 if antialias else 7)}.weight")
    network = ResNetGenerator(
        in_channels, out_channels, width, blocks, antialias=antialias, dropout=0.5 if dropped else 0.0
    )
    fixed = {}
    if antialias:
        blur, doubling = torch.tensor([1.0, 2.0, 1.0]) / 4, torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        up = first + blocks
        for place, kernel, channels in ((7, blur, 2), (11, blur, 4), (up, doubling, 4), (up + 4, doubling, 2)):
            fixed[f"model.{place}.filt"] = kernel.outer(kernel).expand(channels * width, 1, -1, -1)
        _require(weights, fixed)
    table = _resnet_table(first, blocks, antialias, second=6 if dropped else 5)
    return Plan(Translator(network, Policy(dropout=dropped)), table, fixed=fixed)


def _resnet_table(first: int, blocks: int, antialias: bool, second: int) -> Table:
    for place in (1, 4, 8 if antialias else 7):
        yield f"model.{place}", f"net.{place - 1}"  # padding is a layer of its own there
    for block in range(first, first + blocks):
        yield f"model.{block}.conv_block.1", f"net.{block - 1}.net.0"
        yield f"model.{block}.conv_block.{second}", f"net.{block - 1}.net.{second - 2}"
    up = first + blocks
    for place in (up + 1, up + 5) if antialias else (up, up + 3):
        yield f"model.{place}", f"net.{place - 1}"
    last = up + (9 if antialias else 7)
    yield f"model.{last}", f"net.{last - 2}"


def _require(weights: Weights, names: Iterable[str]) -> None:
    if missing := [name for name in names if name not in weights]:
        raise ValueError(f"it lacks {_listed(missing)}")


# pix2pix: each level of the U-Net lies within the one above it


def _unet(weights: Weights) -> Plan:
    width, in_channels = _sizes(weights, "model.model.0.weight")
    _, out_channels = _sizes(weights, "model.model.3.weight")
    depth = next(level for level in count(1) if f"{_level(level)}.1.weight" not in weights)
    if not 5 <= depth <= 13:
        raise ValueError(f"it halves images {depth} times, and a U-Net of this layout does so 5 to 13 times")
    normalised = f"{_level(1)}.2.weight" in weights  # by batch norm; instance norm has no weights
    network = UNetGenerator(
        in_channels,
        out_channels,
        2**depth,
        width,
        norm="batch" if normalised else "instance",
        dropout_layers=tuple(range(1, depth - 4)),
    )
    policy = Policy(dropout=normalised, batch_norm="instance" if normalised else "running")
    return Plan(Translator(network, policy), _unet_table(depth))


def _unet_table(depth: int) -> Table:
    yield "model.model.0", "downs.0"
    yield "model.model.3", f"ups.{depth - 1}.1"
    for level in range(1, depth):
        innermost = level == depth - 1  # with nothing within it, and no norm on the way down
        yield f"{_level(level)}.1", f"downs.{level}.1"
        if not innermost:
            yield f"{_level(level)}.2", f"downs.{level}.2"
        up, norm = (3, 4) if innermost else (5, 6)
        yield f"{_level(level)}.{up}", f"ups.{depth - 1 - level}.1"
        yield f"{_level(level)}.{norm}", f"ups.{depth - 1 - level}.2"


def _level(number: int) -> str:
    """Return the beginning of the names of a level's layers: 1 is that of half the image's size."""
    return "model.model.1.model" + ".3.model" * (number - 1)


# ESRGAN, in three generations of names


class _RRDBNames(NamedTuple):
    first: str
    dense: str  # with the numbers of block, dense block and convolution
    trunk: str
    ups: tuple[str, ...]
    detail: str
    last: str


def _rrdb(weights: Weights) -> Plan:
    names = _rrdb_names(weights)
    width, channels = _sizes(weights, f"{names.first}.weight")
    growth, _ = _sizes(weights, f"{names.dense.format(0, 1, 1)}.weight")
    made, _ = _sizes(weights, f"{names.last}.weight")
    if made != channels:
        raise ValueError(
            f"it takes {channels} channels and makes {made}: networks that first turn pixels into channels, as "
            "BasicSR's for scales 1 and 2, are not among those here"
        )
    blocks = _number(weights, f"{names.dense.format('{}', 1, 1)}.weight")
    network = RRDBGenerator(channels, width, growth, blocks, 2 ** len(names.ups), pixels="unit")
    return Plan(Translator(network, clamp=True), _rrdb_table(names, blocks))


def _rrdb_names(weights: Weights) -> _RRDBNames:
    if "model.0.weight" in weights:
        blocks = _number(weights, "model.1.sub.{}.RDB1.conv1.0.weight")
        doublings = _number(weights, "model.{}.weight", 3, 3)
        ups = tuple(f"model.{3 + 3 * i}" for i in range(doublings))
        after = 2 + 3 * doublings
        dense, trunk = "model.1.sub.{}.RDB{}.conv{}.0", f"model.1.sub.{blocks}"
        return _RRDBNames("model.0", dense, trunk, ups, f"model.{after}", f"model.{after + 2}")
    if "conv_body.weight" in weights:
        ups = ("conv_up1", "conv_up2")
        return _RRDBNames("conv_first", "body.{}.rdb{}.conv{}", "conv_body", ups, "conv_hr", "conv_last")
    ups = ("upconv1", "upconv2")
    return _RRDBNames("conv_first", "RRDB_trunk.{}.RDB{}.conv{}", "trunk_conv", ups, "HRconv", "conv_last")


def _rrdb_table(names: _RRDBNames, blocks: int) -> Table:
    yield names.first, "first"
    for block, dense, conv in product(range(blocks), range(3), range(5)):
        yield names.dense.format(block, dense + 1, conv + 1), f"body.{block}.net.{dense}.convs.{conv}"
    yield names.trunk, f"body.{blocks}"
    for doubling, name in enumerate(names.ups):
        yield name, f"last.{3 * doubling + 1}"
    yield names.detail, f"last.{3 * len(names.ups)}"
    yield names.last, f"last.{3 * len(names.ups) + 2}"


# SRResNet


def _srresnet(weights: Weights) -> Plan:
    part = "conv" if "conv3.weight" in weights else "conv_block"  # the newer and the older names
    width, channels = _sizes(weights, f"{part}1.0.weight")
    blocks = _number(weights, "trunk.{}.rcb.0.weight")
    doublings = _number(weights, "upsampling.{}.upsample_block.0.weight")
    network = SRResNetGenerator(channels, width, blocks, 2**doublings, pixels="unit")
    return Plan(Translator(network, clamp=True), _srresnet_table(part, blocks, doublings), unbiased="body.")


def _srresnet_table(part: str, blocks: int, doublings: int) -> Table:
    yield f"{part}1.0", "first.0"
    yield f"{part}1.1", "first.1"
    for block, layer in product(range(blocks), range(5)):
        yield f"trunk.{block}.rcb.{layer}", f"body.{block}.net.{layer}"
    for layer in range(2):
        yield f"{part}2.{layer}", f"body.{blocks + layer}"
    for doubling, layer in product(range(doublings), (0, 2)):
        yield f"upsampling.{doubling}.upsample_block.{layer}", f"last.{3 * doubling + layer}"
    yield f"{part}3", f"last.{3 * doublings}"


# DCGAN


def _dcgan(weights: Weights) -> Plan:
    layers = _number(weights, "main.{}.weight", 0, 3)
    latent_dim, _ = _sizes(weights, "main.0.weight")
    width, channels = _sizes(weights, f"main.{3 * (layers - 1)}.weight")
    network = DCGANGenerator(latent_dim, 2 ** (layers + 1), channels, width)
    return Plan(LatentSampler(network), _dcgan_table(layers))


def _dcgan_table(layers: int) -> Table:
    for layer in range(layers):
        yield f"main.{3 * layer}", f"net.{3 * layer}"
        yield f"main.{3 * layer + 1}", f"net.{3 * layer + 1}"  # batch norm; there is none after the last


_BLOCK = r"model\.\d+\.conv_block\.\d+\.weight"
_FILTER = r"model\.\d+\.filt"

LAYOUTS: dict[LayoutName, Layout] = {
    "cyclegan": Layout(
        "pytorch-CycleGAN-and-pix2pix's ResNet, latest_net_G.pth",
        "gan_lightning.models.CycleGAN",
        lambda names: _having(_BLOCK)(names) and not _having(_FILTER)(names),
        partial(_resnet, antialias=False),
    ),
    "cut": Layout(
        "contrastive-unpaired-translation's ResNet, latest_net_G.pth",
        "gan_lightning.models.CUT",
        _having(_BLOCK, _FILTER),
        partial(_resnet, antialias=True),
    ),
    "pix2pix": Layout(
        "pytorch-CycleGAN-and-pix2pix's U-Net, latest_net_G.pth",
        "gan_lightning.models.Pix2Pix",
        _having(r"model\.model\.1\.model\.1\.weight"),
        _unet,
    ),
    "esrgan": Layout(
        "ESRGAN's RRDBNet, of xinntao/ESRGAN, BasicSR and Real-ESRGAN",
        "gan_lightning.models.SRGAN",
        _having(r"(RRDB_trunk|body|model\.1\.sub)\.0\.(RDB|rdb)1\.conv1(\.0)?\.weight"),
        _rrdb,
    ),
    "srresnet": Layout(
        "SRGAN-PyTorch's SRResNet",
        "gan_lightning.models.SRResNet",
        _having(r"trunk\.0\.rcb\.0\.weight"),
        _srresnet,
    ),
    "dcgan": Layout(
        "the DCGAN of PyTorch's examples, netG.pth",
        "gan_lightning.models.DCGAN",
        _having(r"main\.0\.weight", r"main\.1\.running_mean"),
        _dcgan,
    ),
}
