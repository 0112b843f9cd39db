"""The smallest networks, models and data, for the tests of the engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.layers import append_labels
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.recording import Network


class ToyGenerator(Network):
    """A linear map from 3 latents to a grey 4x4 image; batch norm only where asked."""

    def __init__(self, latent_dim: int = 3, norm: bool = False) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 0
        self.net = nn.Sequential(nn.Linear(latent_dim, 16), nn.BatchNorm1d(16) if norm else nn.Identity(), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z).view(-1, 1, 4, 4)


class StyledGenerator(Network):
    """3 latents to 4 styles by a layer of tanh, and these to a grey 4x4 image, with a little noise of its own."""

    def __init__(self, num_classes: int = 0, noise: float = 0.1) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.noise = 3, num_classes, noise
        self.styles = nn.Sequential(nn.Linear(3 + num_classes, 4), nn.Tanh())
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Tanh())

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.styles(append_labels(z, labels, self.num_classes))

    def synthesis(self, w: Tensor) -> Tensor:
        images = self.net(w).view(-1, 1, 4, 4)
        return images + self.noise * torch.randn_like(images)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.synthesis(self.mapping(z, labels))


class DomainNetwork(TranslationNetwork):
    """Adds a level of grey for each component of a code (N, targets) to grey images: 1/8, 1/16, ..."""

    in_channels = 1

    def __init__(self, targets: int = 3) -> None:
        super().__init__()
        self.levels = nn.Parameter(2.0 ** -torch.arange(3, 3 + targets))

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        return images / 2 + (code @ self.levels)[:, None, None, None]


class BrightnessClassifier(Network):
    """Says that grey images have all attributes where they are bright; it takes images of 4x4."""

    image_shape = (1, 4, 4)

    def __init__(self, targets: int = 3) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(targets))

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[1:] == self.image_shape
        return images.mean(dim=(1, 2, 3))[:, None] * self.scale


class StyleNetwork(TranslationNetwork):
    """Adds the first component of a style of two to grey images; an example's style is its mean and deviation."""

    in_channels = 1
    multiple = 2
    style_dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.125))

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        return (images / 2 + self.gain * style[:, :1, None, None]).tanh()

    def encode_style(self, examples: Tensor) -> Tensor:
        assert not self.training
        return torch.stack([examples.mean(dim=(1, 2, 3)), examples.std(dim=(1, 2, 3))], dim=1)


class ExampleNetwork(TranslationNetwork):
    """Takes a style from nothing but an example, whose code is the example at half the size."""

    in_channels = 1
    multiple = 2

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        return self.gain * (images + code.mean(dim=(1, 2, 3), keepdim=True))

    def encode_style(self, examples: Tensor) -> Tensor:
        return examples[:, :, ::2, ::2]


class ToyDiscriminator(Network):
    """A linear map from a grey 4x4 image to a logit."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images).flatten()


class ToyGAN(NoiseToImage):
    """The simplest game."""

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or ToyGenerator(), discriminator or ToyDiscriminator(), **base)
        self.loss = loss or NonSaturating()


class DeterministicGAN(ToyGAN):
    """Its latents are pixels of the batch, so that runs cut up differently can be compared."""

    def draw_fakes(self, batch: ImageBatch) -> Tensor:
        return self.generator(batch.images[:, 0, 0, :3])


class ToyData(L.LightningDataModule):
    """`batches` batches of `size` random 4x4 images in [-1, 1], the same in every epoch."""

    def __init__(self, batches: int = 4, size: int = 8) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.images = torch.rand(batches, size, 1, 4, 4, generator=generator) * 2 - 1

    def train_dataloader(self) -> "ToyLoader":
        return ToyLoader(self.images)

    def val_dataloader(self) -> "ToyLoader":
        return ToyLoader(self.images)


class ToyLoader:
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageBatch]:
        return (ImageBatch(images) for images in self.images)


def read_png(path: Path) -> Tensor:
    """The image in a file, uint8 (C, H, W)."""
    return pil_to_tensor(Image.open(path))


def trainer(folder: Any = None, **settings: Any) -> L.Trainer:
    """A quiet trainer on the CPU."""
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    return L.Trainer(**quiet | settings)


def checkpoint(model: L.LightningModule, path: Path) -> Path:
    """Write the checkpoint of a model that has not been trained."""
    fit = trainer()
    fit.strategy.connect(model)
    fit.save_checkpoint(path, weights_only=True)
    return path


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters."""
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors are the same, bit by bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
