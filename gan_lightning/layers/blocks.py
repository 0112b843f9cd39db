"""Blocks, initialisations and checks that two or more networks share."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from gan_lightning.ranges import PositiveInt

Norm = Literal["batch", "instance", "layer", "none"]


class InstanceNorm2d(nn.InstanceNorm2d):
    """PyTorch's instance norm, which keeps channels_last in training: batch norm of each image as a batch of one.

    Values and gradients are the same. PyTorch's own layer leaves that layout: on a CPU it takes more than twice as
    long, and the next convolution has to change the layout back.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        if not self.training or not x.is_contiguous(memory_format=torch.channels_last) or not (len(x) == 1 or x.is_cpu):
            return super().forward(x)  # evaluation too, since `gan_lightning.inference` intercepts this function
        how: Any = {"weight": self.weight, "bias": self.bias, "training": True, "eps": self.eps}
        images = [F.batch_norm(image, None, None, **how) for image in x.split(1)]
        return torch.cat(images) if len(images) > 1 else images[0]


def norm2d(kind: Norm, channels: int) -> nn.Module:
    """Make a normalisation of feature maps (N, channels, H, W).

    "batch" learns a gain and a bias and keeps running statistics. "instance" has neither, so that training and
    evaluation agree. "layer" normalises a whole image at once (all channels and positions) and learns a gain and a bias
    for each channel, as the critics of WGAN-GP do. "none" changes nothing.

    Raises:
        ValueError: `kind` is none of these.
    """
    match kind:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "instance":
            return InstanceNorm2d(channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "none":
            return nn.Identity()
    raise ValueError(f'norm must be "batch", "instance", "layer" or "none", not {kind!r}')


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """Initialise weights as DCGAN and its successors do.

    Convolution and linear weights ~ N(0, std), batch-norm gains ~ N(1, std), biases 0.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d | nn.ConvTranspose3d | nn.Linear):
            nn.init.normal_(part.weight, 0.0, std)
        elif isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d) and part.affine:
            nn.init.normal_(part.weight, 1.0, std)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)


def init_uniform(module: nn.Module, bound: float) -> None:
    """Initialise linear weights ~ U(-bound, bound), and biases with 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.uniform_(part.weight, -bound, bound)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def init_glorot(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Initialise weights ~ U(-b, b), variance gain² · 2 / (fan_in + fan_out) (Glorot & Bengio, 2010); biases are 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def normalise_spectrally(module: nn.Module, eps: float = 1e-12, embeddings: bool = True) -> None:
    """Divide the weight of each convolution, linear layer and embedding in the module by its largest singular value.

    This is torch's spectral norm with one power iteration at each forward pass in training mode, in both players'
    turns, and none in evaluation (Miyato et al., 2018, arXiv 1802.05957, algorithm 1). Initialise weights before, since
    the singular vectors are estimated here. They are buffers, and so in every checkpoint.

    Args:
        module: the network or layer.
        eps: the smallest length by which the singular vectors are divided.
        embeddings: whether embeddings are normalised too. The generators of SAGAN and BigGAN leave theirs out.

    NOTE: torch makes 15 power iterations at the start; the authors start from a random vector.
    NOTE: with W the weight, torch updates u = Wv and then v = Wᵀu, both of length 1, and keeps v for the next pass; the
        authors update v and then u, and keep u. σ = uᵀWv is therefore half an iteration nearer to the largest singular
        value. In evaluation torch uses u and v unchanged; the authors make an iteration that they do not keep.
    """
    for part in list(module.modules()):
        if isinstance(part, nn.Conv2d | nn.Linear) or (embeddings and isinstance(part, nn.Embedding)):
            spectral_norm(part, eps=eps)


def halvings(image_size: int, smallest: int) -> int:
    """Return how many times `image_size` pixels are halved to reach `smallest`.

    Raises:
        ValueError: image_size is not a power of two from 16 to 8192.
    """
    if not 16 <= image_size <= 8192 or image_size & (image_size - 1):
        raise ValueError(
            f"image_size must be a power of two from 16 to 8192, not {image_size}: resize the images to 32, 64, ... "
            "pixels"
        )
    return int(math.log2(image_size // smallest))


ImageSize = PositiveInt | tuple[PositiveInt, PositiveInt]
"""Height and width of images, in pixels: one number for both, or a pair."""


def sides(image_size: int | Sequence[int]) -> tuple[int, int]:
    """Return height and width of images.

    Raises:
        ValueError: `image_size` is neither a number nor a pair.
    """
    both = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(both) != 2:
        raise ValueError(f"image_size must be one number of pixels, or height and width, not {image_size!r}")
    return both[0], both[1]


def pyramid(image_size: int | Sequence[int]) -> list[tuple[int, int]]:
    """Return heights and widths of a network's maps, from the smallest up to the image: each doubles the one before.

    The shorter side of the smallest is 4 to 7 pixels: 32x32 begins at 4x4, 256x384 at 4x6, 96x112 at 6x7.

    Raises:
        ValueError: a side is below 4 pixels, or cannot be halved as often.
    """
    height, width = sides(image_size)
    levels = (min(height, width) // 4).bit_length() - 1
    if levels < 0 or height % (1 << levels) or width % (1 << levels):
        wanted = "at least 4" if levels < 0 else f"multiples of {1 << levels}"
        raise ValueError(
            f"images of {height}x{width} cannot be halved down to a shorter side of 4 to 7 pixels: make both sides of "
            f"image_size {wanted}"
        )
    return [(height >> level, width >> level) for level in range(levels, -1, -1)]


def check_latent(z: Tensor, latent_dim: int) -> None:
    """Raise ValueError unless z is (N, latent_dim)."""
    if z.dim() != 2 or z.shape[1] != latent_dim:
        raise ValueError(
            f"this generator takes z of shape (N, {latent_dim}), not {tuple(z.shape)}: draw that, or change latent_dim"
        )


def check_images(images: Tensor, shape: Sequence[int]) -> None:
    """Raise ValueError unless the images are (N, *shape)."""
    if tuple(images.shape[1:]) != tuple(shape):
        expected = ", ".join(map(str, shape))
        raise ValueError(
            f"this network was built for images of shape (N, {expected}), not {tuple(images.shape)}: "
            f"resize the images, or build it with their channels and image_size"
        )


def check_sides(images: Tensor, channels: int, *, minimum: int, multiple: int = 1) -> None:
    """Raise ValueError unless images are (N, channels, H, W), both sides >= `minimum` and multiples of `multiple`."""
    fits = images.dim() == 4 and images.shape[1] == channels
    if not fits or any(side < minimum or side % multiple for side in images.shape[2:]):
        multiples = f" and multiples of {multiple}" if multiple > 1 else ""
        raise ValueError(
            f"this network takes images of shape (N, {channels}, H, W), H and W at least {minimum}{multiples}, "
            f"not {tuple(images.shape)}: resize, crop or pad the images, or build it with their channels"
        )


def check_labels(labels: Tensor | None, num_classes: int) -> Tensor:
    """Return the labels for a network conditional on `num_classes` classes, int64 (N,), after a check.

    Raises:
        ValueError: there are no labels, or they are not one class index an image.
    """
    if labels is None:
        raise ValueError(
            f"this network is conditional on {num_classes} classes and was given no labels: pass labels, int64 (N,)"
        )
    if labels.dim() != 1 or labels.dtype != torch.int64:
        raise ValueError(
            f"labels must be class indices, int64 (N,), not {labels.dtype} {tuple(labels.shape)}: "
            f"attributes and one-hot vectors are not class indices"
        )
    return labels


def check_no_labels(labels: Tensor | None) -> None:
    """Raise ValueError if a network without classes is given labels."""
    if labels is not None:
        raise ValueError("this network is unconditional and was given labels: build it with num_classes, or pass none")


def one_hot(labels: Tensor | None, num_classes: int) -> Tensor:
    """Convert labels, int64 (N,), to float one-hot vectors (N, num_classes).

    Raises:
        ValueError: there are no labels, or they are not one class index an image.
    """
    return F.one_hot(check_labels(labels, num_classes), num_classes).float()


def append_labels(x: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Condition a network on classes at its input, by concatenation.

    Vectors (N, F) become (N, F + num_classes): a one-hot vector is appended to each. Images (N, C, H, W) become
    (N, C + num_classes, H, W): the map of the image's class is 1 and the maps of all others are 0.
    With num_classes 0, x is returned unchanged.

    Raises:
        ValueError: a conditional network is given no labels, or an unconditional one is given some.
    """
    if num_classes == 0:
        check_no_labels(labels)
        return x
    codes = one_hot(labels, num_classes).to(x.dtype)
    if x.dim() == 4:
        codes = codes[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, codes], dim=1)


def append_vector(x: Tensor, vector: Tensor) -> Tensor:
    """Append a vector (N, K) to maps (N, C, H, W) as constant maps: (N, C + K, H, W)."""
    maps = vector[:, :, None, None].to(x.dtype).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, maps], dim=1)


class Maxout(nn.Module):
    """Units that are each the largest of several linear functions (Goodfellow et al., 2013, arXiv 1302.4389).

    Args:
        in_features: number of values of an input.
        out_features: number of values of an output.
        pieces: number of linear functions of a unit; 1 is a linear layer.
    """

    def __init__(self, in_features: int, out_features: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(in_features, out_features * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(dim=2)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm with a gain and a bias for each class, which start at 1 and 0.

    Dumoulin, Shlens, Kudlur, "A Learned Representation for Artistic Style", 2016, arXiv 1610.07629, with classes
    instead of styles. All classes share their statistics.

    Args:
        channels: channels of the feature maps.
        num_classes: number of classes.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        # an attribute, not a base class: a conversion to synchronised batch norm replaces subclasses and their forward
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(num_classes, channels)
        self.bias = nn.Embedding(num_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map (N, channels, H, W) and labels int64 (N,) to (N, channels, H, W)."""
        gain, bias = (embedding(labels)[:, :, None, None].to(x.dtype) for embedding in (self.gain, self.bias))
        return self.norm(x) * gain + bias


class ResidualUpBlock(nn.Module):
    """Doubles height and width: batch norm, ReLU, nearest ×2, 3×3, batch norm, ReLU, 3×3; in parallel a 1×1 shortcut.

    The shortcut convolves before it repeats pixels: the two commute, and this order needs a quarter of the work.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        norm: makes a normalisation for a number of channels.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
        init_glorot(self.conv1, gain=math.sqrt(2))
        init_glorot(self.conv2, gain=math.sqrt(2))
        init_glorot(self.shortcut)

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Map (N, in_channels, H, W), and the labels int64 (N,) of conditional norms, to (N, out_channels, 2H, 2W)."""
        h = F.interpolate(F.relu(self.norm1(x, *labels)), scale_factor=2.0)  # nearest
        h = self.conv2(F.relu(self.norm2(self.conv1(h), *labels)))
        return h + F.interpolate(self.shortcut(x), scale_factor=2.0)


class ResidualDownBlock(nn.Module):
    """ReLU, 3×3, ReLU, 3×3 and mean pooling, without normalisation; in parallel the input, pooled and 1×1 convolved.

    The shortcut pools before it convolves (the two commute), and is the input itself if the shape does not change.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        downsample: whether height and width are halved.
        first: whether this block receives the image, which no ReLU should cut (the "optimised" block of WGAN-GP).
    """

    def __init__(self, in_channels: int, out_channels: int, *, downsample: bool, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        init_glorot(self.conv1, gain=math.sqrt(2))
        init_glorot(self.conv2, gain=math.sqrt(2))
        self.pool: nn.Module = nn.AvgPool2d(2) if downsample else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if downsample or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
            init_glorot(self.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2), or (N, out_channels, H, W) at full size."""
        h = x if self.first else F.relu(x)
        h = self.conv2(F.relu(self.conv1(h)))
        return self.pool(h) + self.shortcut(self.pool(x))
