"""An encoder: a small network that estimates the latents of images, learnt from the generator's own samples.

After Zhu et al. 2016 (iGAN, arXiv 1609.03552), section 3.1, with P the encoder:

    min_P E_z ‖G(P(G(z))) - G(z)‖² + λ ‖P(G(z)) - z‖²

NOTE: the authors train on photographs, of which no latents are known, and compare features too. On samples, the latents
    are known, and no photographs are needed.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.files import shown
from gan_lightning.inference import ImageName, Space, evaluating
from gan_lightning.inference.identity import fingerprint
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.stored import read_tensors, readable, sound, write_tensors
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, checked

_KIND, _COMMAND = "encoder", "train-encoder"
_WIDEST = 8  # times the first layer's channels
_SMALLEST = 4  # pixels of the shorter side at the last convolution
_TESTED = 256  # further samples on which an encoder is measured
_LARGEST = 2**20  # that any size in a file may be


class EncoderNetwork(nn.Module):
    """Convolutions of stride 2 down to 4 pixels or fewer, then two linear layers; batch norm and leaky ReLU between.

    Args:
        image_shape: channels, height and width of the images.
        outputs: number of outputs.
        width: channels of the first layer; doubled at each halving, up to 8 times this.
    """

    def __init__(self, image_shape: Sequence[int], outputs: int, width: int = 32) -> None:
        super().__init__()
        self.outputs = outputs
        most = _WIDEST * width
        at, *sides = image_shape
        layers: list[nn.Module] = []
        while min(sides) > _SMALLEST:
            wider = min(2 * at, most) if layers else width
            layers += [nn.Conv2d(at, wider, 4, 2, 1, bias=False), nn.BatchNorm2d(wider), nn.LeakyReLU(0.2)]
            at, sides = wider, [side // 2 for side in sides]
        features = at * math.prod(sides)
        layers += [nn.Flatten(), nn.Linear(features, most), nn.LeakyReLU(0.2), nn.Linear(most, outputs)]
        self.net = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to (N, outputs)."""
        return self.net(images)


@dataclass(frozen=True)
class Encoder:
    """Estimates the points of images in a latent space of one model.

    Args:
        network: its outputs are coordinates, see `LatentSpace.free`.
        space: name of the space.
        model: fingerprint of the generator, see `gan_lightning.inference.identity`.
        image_shape: channels, height and width of the images.
        width: of the network.
    """

    network: EncoderNetwork
    space: Space
    model: str
    image_shape: tuple[int, int, int]
    width: int

    def check(self, space: LatentSpace) -> None:
        """Check that the encoder is of that space.

        Raises:
            ValueError: it is of another space, or of other weights.
        """
        if self.space != space.name:
            raise ValueError(f"the encoder estimates {self.space}, and {space.name} is asked for: choose that space")
        if self.model != fingerprint(space.sampler.network):
            raise ValueError(
                "the encoder was trained for a model of other weights: train one for this by `gan-lightning "
                "train-encoder`"
            )

    @torch.no_grad()
    def points(self, space: LatentSpace, images: Tensor) -> Tensor:
        """Return the estimated points (N, ...) of images (N, C, H, W) in [-1, 1]."""
        network = self.network.to(images.device)
        with evaluating(network), torch.autocast(images.device.type, enabled=False):
            return torch.cat([space.at(network(part)) for part in images.split(space.batch_size)])

    def save(self, path: Path) -> None:
        """Write it as a safetensors file, whole or not at all."""
        about = {"image_shape": self.image_shape, "outputs": self.network.outputs, "width": self.width}
        facts = {"space": self.space, "model": self.model, "about": json.dumps(about)}
        write_tensors(path, _KIND, self.network.state_dict(), facts)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds anything else.
        """
        tensors, facts = read_tensors(path, _KIND, _COMMAND)
        with readable(path, _KIND, _COMMAND):
            about = json.loads(facts["about"])
            channels, height, width = about["image_shape"]
            sizes = [channels, height, width, about["outputs"], about["width"]]
            if not all(type(size) is int and 0 < size <= _LARGEST for size in sizes):
                raise ValueError(f"its sizes {sizes} are none")
            with torch.device("meta"):  # allocates nothing, whatever the file states
                network = EncoderNetwork((channels, height, width), about["outputs"], about["width"])
            network.load_state_dict(tensors, assign=True)
        numbers = [tensor for tensor in tensors.values() if tensor.is_floating_point()]
        if facts.get("space") not in ("z", "w") or not sound(*network.parameters(), *numbers):
            raise ValueError(f"{shown(path)} holds an encoder that is damaged: train it again")
        space = cast(Space, facts["space"])
        return cls(network, space, facts.get("model", ""), (channels, height, width), about["width"])


class Quality(NamedTuple):
    """How well an encoder estimates latents, over samples that it was not trained on."""

    explained: float  # share of the variance of the latents, at most 1
    psnr: float  # of the images of estimated latents, the mean in decibels


@checked
def train_encoder(
    space: LatentSpace,
    steps: PositiveInt = 2000,
    batch_size: PositiveInt = 64,
    learning_rate: PositiveFloat = 1e-3,
    lambda_pixels: NonNegativeFloat = 10.0,
    width: PositiveInt = 32,
    seed: NonNegativeInt = 0,
    title: str | None = "training the encoder",
) -> tuple[Encoder, Quality]:
    """Train an encoder on the samples of a generator, whose weights do not change.

    The loss is the mean squared error of the latents in units of their variance, and of the pixels. Adam's learning
    rate falls as a half cosine to 0.

    Args:
        space: the latent space.
        steps: number of steps.
        batch_size: number of samples of a step. Step s sees the images of `seed` from number s · batch_size on.
        learning_rate: at the beginning.
        lambda_pixels: weight of the pixels' error.
        width: channels of the encoder's first layer.
        seed: seed of the samples and of the first weights.
        title: name of the progress bar. None = there is none.

    Returns:
        The encoder, and its quality on 256 further samples.

    Raises:
        ValueError: the samples or the losses are NaN or infinite.
    """
    sampler = space.sampler
    scale = _scale(space)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EncoderNetwork(space.image_shape, len(scale), width)
    network.to(sampler.device).train()
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)

    def compared(names: Sequence[ImageName]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the samples' points (N, d), those estimated, the squared error of all pixels, (N,)."""
        labels = sampler.classes_of(names)
        points = space.points(names, labels)
        with torch.no_grad():
            images = space.synthesize(points, names, labels)
        if not images.isfinite().all():
            raise ValueError("the model generates NaN or infinite pixels: take an earlier checkpoint")
        estimated = space.at(network(images))
        again = space.synthesize(estimated, names, labels)
        return space.flat(points), space.flat(estimated), (again - images).square().mean(dim=(1, 2, 3))

    learnt = list(network.parameters())
    with tqdm(total=steps, desc=title, unit="step", disable=True if title is None else None) as bar:
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = learning_rate * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            points, estimated, pixels = compared([ImageName(seed, step * batch_size + k) for k in range(batch_size)])
            loss = ((estimated - points) / scale).square().mean() + lambda_pixels * pixels.mean()
            for parameter, gradient in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
                parameter.grad = gradient  # of the encoder alone: the generator gets none
            optimizer.step()
            bar.update()
            if step % 20 == 0:
                bar.set_postfix(loss=f"{float(loss.detach()):.3f}")
    if not all(parameter.isfinite().all() for parameter in learnt):
        raise ValueError(f"the encoder diverged at the learning rate {learning_rate:g}: make it smaller")

    network.eval()
    found = []
    for first in range(0, _TESTED, batch_size):
        numbers = range(first, min(first + batch_size, _TESTED))
        with torch.no_grad():
            found.append(compared([ImageName(seed, steps * batch_size + number) for number in numbers]))
    points, estimated, pixels = (torch.cat(part).double() for part in zip(*found, strict=True))
    explained = 1 - ((estimated - points).square().sum() / (points - points.mean(dim=0)).square().sum())
    psnr = (10 * (4 / pixels.clamp_min(4e-10)).log10()).mean()
    encoder = Encoder(network, space.name, fingerprint(sampler.network), space.image_shape, width)
    return encoder, Quality(float(explained), float(psnr))


@torch.no_grad()
def _scale(space: LatentSpace) -> Tensor:
    """Return the standard deviation of the latents, one number for all components, (d,)."""
    z, labels = next(iter(space.draws(1000)))
    points = space.flat(z if space.name == "z" else space.sampler.map(z, labels))
    return points.std(dim=0).square().mean().sqrt().clamp_min(1e-8).expand(points.shape[1])
