"""The networks of few-shot talking heads: embedder, generator from landmarks, projection discriminator.

Zakharov, Shysheya, Burkov, Lempitsky, "Few-Shot Adversarial Learning of Realistic Neural Talking Head Models", ICCV
2019, arXiv 1905.08233, sections 3.1 and 3.4. Residual blocks are those of BigGAN; all weights are spectrally
normalised, but those of the projections from and onto people. At 256×256 the embedder has 15 million parameters, the
discriminator 20 million without its vectors of people, and the generator 38 million with the projection P, as counted
in the paper.

NOTE: P is not spectrally normalised, as in the port: of a norm of 1, it would leave ψ, which has thousands of
    components, so small that all people look alike.
NOTE: e and the features of D are sums over positions, and then a ReLU, as in the paper; the port by V. Thevenin has
    maxima in the embedder.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import (
    ImageSize,
    InstanceNorm2d,
    ResidualDownBlock,
    ResidualUpBlock,
    check_images,
    check_sides,
    init_glorot,
    normalise_spectrally,
    pyramid,
    sides,
)
from gan_lightning.layers.attention import SelfAttention
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.networks.discriminator import DiscriminatorOutput, ProjectingDiscriminator
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Network

Norm = Callable[[int], nn.Module]


class _Trunk(nn.Sequential):
    """Residual blocks that halve an image until its shorter side is 4 to 7 pixels, with attention at some heights."""

    def __init__(
        self, image_size: ImageSize, channels: int, width: int, max_width: int, attention: Sequence[int]
    ) -> None:
        sizes = pyramid(image_size)[::-1]
        widths = [channels, *(min(width << level, max_width) for level in range(len(sizes) - 1))]
        blocks: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise(widths)):
            block = ResidualDownBlock(before, after, downsample=True, first=level == 0)
            attentive = sizes[level + 1][0] in attention
            blocks.append(nn.Sequential(block, SelfAttention(after)) if attentive else block)
        super().__init__(*blocks)
        self.num_features = widths[-1]

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the output of each block."""
        found = [images]
        for block in self:
            found.append(block(found[-1]))
        return found[1:]


def _pooled(x: Tensor) -> Tensor:
    """Return the sums over all positions, cut at zero: (N, C) of (N, C, H, W)."""
    return F.relu(x.sum(dim=(2, 3)))


class HeadEmbedder(Network):
    """E: a frame and its landmark picture to a vector e of the person. Frames of one person are to have one vector.

    Args:
        image_size: height and width of a frame, in pixels: one number, or a pair. Both can be halved until the shorter
            is 4 to 7.
        channels: channels of a frame and its landmark picture together.
        width: channels of the first block; doubled by each block that follows.
        max_width: the most channels, which is also the length of e.
        attention: heights of the maps with self-attention, in pixels.
    """

    def __init__(
        self,
        image_size: ImageSize = 256,
        channels: PositiveInt = 6,
        width: PositiveInt = 64,
        max_width: PositiveInt = 512,
        attention: Sequence[PositiveInt] = (32,),
    ) -> None:
        super().__init__()
        self.image_shape = (channels, *sides(image_size))
        self.trunk = _Trunk(image_size, channels, width, max_width, attention)
        self.embedding_dim = self.trunk.num_features
        normalise_spectrally(self)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames beside their landmark pictures, (N, channels, H, W) in [-1, 1], to vectors (N, embedding_dim)."""
        check_images(frames, self.image_shape)
        return _pooled(self.trunk(frames))


class AdaptiveInstanceNorm2d(nn.Module):
    """Instance norm whose gains and biases are given: x → (1 + γ) (x - μ) / σ + β, for each channel of each image.

    Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017, arXiv
    1703.06868, equation 8, with the deviation 1 + γ and the mean β.

    NOTE: 1 + γ, and not γ, so that a person's parameters of zero change nothing; as in BigGAN's norms.

    Args:
        channels: channels of the maps.
        first: place of γ among the person's parameters; β follows.
    """

    def __init__(self, channels: int, first: int) -> None:
        super().__init__()
        self.norm = InstanceNorm2d(channels)
        self.channels, self.first = channels, first

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Map (N, channels, H, W), with the parameters of a person for each image, (N, P), to the same shape."""
        own = parameters[:, self.first : self.first + 2 * self.channels, None, None]
        gain, bias = own.chunk(2, dim=1)
        return torch.addcmul(bias, self.norm(x), 1 + gain)


class _DownBlock(nn.Module):
    """Instance norm, ReLU, 3×3, instance norm, ReLU, 3×3 and mean pooling; in parallel the input, pooled and 1×1."""

    def __init__(self, in_channels: int, out_channels: int, first: bool) -> None:
        super().__init__()
        before = nn.Identity() if first else nn.Sequential(InstanceNorm2d(in_channels), nn.ReLU())
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
        for layer in (self.conv1, self.conv2, self.shortcut):
            init_glorot(layer)
        self.net = nn.Sequential(before, self.conv1, InstanceNorm2d(out_channels), nn.ReLU(), self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        return F.avg_pool2d(self.net(x), 2) + self.shortcut(F.avg_pool2d(x, 2))


class _MiddleBlock(nn.Module):
    """Adaptive instance norm, ReLU, 3×3, twice, added to the input."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(channels), norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        for layer in (self.conv1, self.conv2):
            init_glorot(layer)

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        h = self.conv1(F.relu(self.norm1(x, parameters)))
        return x + self.conv2(F.relu(self.norm2(h, parameters)))


class _Head(TranslationNetwork):
    """The part of the generator that all people share: from a landmark picture, and a person's parameters ψ, a frame.

    A subclass has ψ, or the layers that make it, and ends its constructor with `_finish`.

    Args:
        in_channels: channels of a landmark picture.
        out_channels: channels of a frame.
        image_size: height and width of the frames in training, in pixels: it places the attention. Later pictures may
            have any sides that are multiples of `multiple`.
        width: channels of the first block; doubled by each block that follows.
        max_width: the most channels.
        depth: how many times the size is halved.
        blocks: number of residual blocks at the smallest size.
        down_attention: heights of the maps with self-attention on the way down, in pixels.
        up_attention: heights of the maps with self-attention on the way up, in pixels.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        image_size: ImageSize = 256,
        width: PositiveInt = 64,
        max_width: PositiveInt = 512,
        depth: PositiveInt = 4,
        blocks: PositiveInt = 5,
        down_attention: Sequence[PositiveInt] = (32,),
        up_attention: Sequence[PositiveInt] = (64,),
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        # attention at the smallest maps needs even sides there, and instance norm more than one pixel
        bottom = sides(image_size)[0] >> depth
        self.multiple = 2 ** (depth + (bottom in down_attention))
        self.minimum = 2 ** (depth + 1)
        self.num_parameters = 0
        height = sides(image_size)[0]
        widths = [min(width << level, max_width) for level in range(depth)]
        self.down = nn.ModuleList()
        for level, (before, after) in enumerate(pairwise([in_channels, *widths])):
            block = _DownBlock(before, after, first=level == 0)
            height //= 2
            self.down.append(nn.Sequential(block, SelfAttention(after)) if height in down_attention else block)
        self.middle = nn.ModuleList(_MiddleBlock(widths[-1], self._norm) for _ in range(blocks))
        self.up = nn.ModuleList()
        for before, after in pairwise([*widths[::-1], widths[0]]):
            height *= 2
            self.up.append(ResidualUpBlock(before, after, self._norm))
            self.up.append(SelfAttention(after) if height in up_attention else nn.Identity())
        self.last_norm = self._norm(widths[0])
        self.to_image = nn.Conv2d(widths[0], out_channels, 3, padding=1)
        init_glorot(self.to_image)

    def _norm(self, channels: int) -> AdaptiveInstanceNorm2d:
        """Make an adaptive norm with the next parameters of ψ."""
        first = self.num_parameters
        self.num_parameters += 2 * channels
        return AdaptiveInstanceNorm2d(channels, first)

    def synthesise(self, landmarks: Tensor, parameters: Tensor) -> Tensor:
        """Map landmark pictures (N, C_in, H, W) in [-1, 1], and ψ (N, num_parameters), to frames in [-1, 1]."""
        check_sides(landmarks, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        x = landmarks
        for block in self.down:
            x = block(x)
        for block in self.middle:
            x = block(x, parameters)
        for block, attention in pairwise_blocks(self.up):
            x = attention(block(x, parameters))
        return self.to_image(F.relu(self.last_norm(x, parameters))).tanh()


def pairwise_blocks(blocks: nn.ModuleList) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield each block of a list with the module that follows it."""
    modules = list(blocks)
    return iter(zip(modules[::2], modules[1::2], strict=True))


class TalkingHeadGenerator(_Head):
    """G and E: frames of a person from landmark pictures, for any person of whom there are examples.

    G(y, e) with ψ = P e and e = E(frame, landmark picture), the mean over the examples of a person.

    An example, for `encode_style`, is one picture of two halves: a frame at the left, its landmark picture at the
    right.

    Args:
        embedder: E. None = the paper's, with the sizes of this network.
        in_channels: channels of a landmark picture.
        out_channels: channels of a frame.
        image_size: height and width of the frames in training, in pixels: it places the attention. Later pictures may
            have any sides that are multiples of `multiple`.
        width: channels of the first block; doubled by each block that follows.
        max_width: the most channels.
        depth: how many times the size is halved.
        blocks: number of residual blocks at the smallest size.
        down_attention: heights of the maps with self-attention on the way down, in pixels.
        up_attention: heights of the maps with self-attention on the way up, in pixels.
    """

    joins_examples = True  # several examples are of one person

    def __init__(
        self,
        embedder: HeadEmbedder | None = None,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        image_size: ImageSize = 256,
        width: PositiveInt = 64,
        max_width: PositiveInt = 512,
        depth: PositiveInt = 4,
        blocks: PositiveInt = 5,
        down_attention: Sequence[PositiveInt] = (32,),
        up_attention: Sequence[PositiveInt] = (64,),
    ) -> None:
        super().__init__(
            in_channels, out_channels, image_size, width, max_width, depth, blocks, down_attention, up_attention
        )
        normalise_spectrally(self)
        self.embedder = embedder or HeadEmbedder(
            image_size, in_channels + out_channels, width, max_width, down_attention
        )
        self.embedding_dim = self.embedder.embedding_dim
        _, height, across = self.embedder.image_shape
        self.example_channels, self.example_size = in_channels, (height, 2 * across)
        self.projection = nn.Linear(self.embedding_dim, self.num_parameters, bias=False)  # P
        init_glorot(self.projection)

    def forward(self, landmarks: Tensor, embedding: Tensor) -> Tensor:
        """Map landmark pictures (N, C_in, H, W) in [-1, 1], and e (N, E), to frames (N, C_out, H, W) in [-1, 1]."""
        return self.synthesise(landmarks, self.projection(embedding))

    def embed(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        """Return e, (N, E), the mean over the K examples of each person.

        Args:
            frames: float (N, C_out, K, H, W) in [-1, 1].
            landmarks: their landmark pictures, float (N, C_in, K, H, W) in [-1, 1].
        """
        together = torch.cat([frames, landmarks], dim=1)
        count, channels, examples = together.shape[:3]
        images = together.transpose(1, 2).reshape(-1, channels, *together.shape[3:])
        return self.embedder(images).unflatten(0, (count, examples)).mean(dim=1)

    def encode_style(self, examples: Tensor) -> Tensor:
        """Map examples, each a frame and its landmark picture side by side, (N, C, H, 2W) in [-1, 1], to e (N, E).

        Those of another size are brought to the embedder's.

        Raises:
            ValueError: frames and landmark pictures of this network differ in channels, or an example has others.
        """
        frames, landmarks = self.embedder.image_shape[0] - self.in_channels, self.in_channels
        if examples.dim() != 4 or examples.shape[3] % 2 or not examples.shape[1] == frames == landmarks:
            raise ValueError(
                f"an example is a frame and its landmark picture side by side, of shape (N, {landmarks}, H, 2W), not "
                f"{tuple(examples.shape)}: `gan-lightning landmarks --beside true` makes them"
            )
        halves = torch.cat(examples.chunk(2, dim=3), dim=1)
        size = self.embedder.image_shape[1:]
        if halves.shape[2:] != size:
            halves = F.interpolate(halves, size, mode="bicubic", antialias=True).clamp(-1, 1)
        return self.embedder(halves)


class PersonalHeadGenerator(_Head):
    """G', the generator of one person: that person's parameters ψ' are weights like the others (section 3.3).

    Args:
        in_channels: channels of a landmark picture.
        out_channels: channels of a frame.
        image_size: height and width of the frames in training, in pixels: it places the attention.
        width: channels of the first block; doubled by each block that follows.
        max_width: the most channels.
        depth: how many times the size is halved.
        blocks: number of residual blocks at the smallest size.
        down_attention: heights of the maps with self-attention on the way down, in pixels.
        up_attention: heights of the maps with self-attention on the way up, in pixels.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        image_size: ImageSize = 256,
        width: PositiveInt = 64,
        max_width: PositiveInt = 512,
        depth: PositiveInt = 4,
        blocks: PositiveInt = 5,
        down_attention: Sequence[PositiveInt] = (32,),
        up_attention: Sequence[PositiveInt] = (64,),
    ) -> None:
        super().__init__(
            in_channels, out_channels, image_size, width, max_width, depth, blocks, down_attention, up_attention
        )
        normalise_spectrally(self)
        self.person = nn.Embedding(1, self.num_parameters)  # ψ'
        nn.init.zeros_(self.person.weight)

    def forward(self, landmarks: Tensor) -> Tensor:
        """Map landmark pictures (N, C_in, H, W) in [-1, 1] to frames (N, C_out, H, W) of the person."""
        numbers = torch.zeros(len(landmarks), dtype=torch.int64, device=landmarks.device)
        return self.synthesise(landmarks, self.person(numbers))


class HeadDiscriminator(ProjectingDiscriminator):
    """D(x, y, i) = V(x, y)ᵀ (W_i + w_0) + b (equation 5): is frame x one of person i, with the landmarks y?

    The label -1 stands for a person without a vector W_i, whose score is V(x, y)ᵀ w_0 + b.

    NOTE: w_0 and W are not spectrally normalised, so that w' = w_0 + e of the fine-tuning is exact.

    Args:
        image_size: height and width of a frame, in pixels: one number, or a pair. Both can be halved until the shorter
            is 4 to 7.
        channels: channels of a frame and its landmark picture together.
        width: channels of the first block; doubled by each block that follows.
        max_width: the most channels, which is also the length of V(x, y).
        num_classes: number of people with vectors W_i; 0 for the fine-tuning to one person, where the head is w'.
        attention: heights of the maps with self-attention, in pixels.
    """

    def __init__(
        self,
        image_size: ImageSize = 256,
        channels: PositiveInt = 6,
        width: PositiveInt = 64,
        max_width: PositiveInt = 512,
        num_classes: NonNegativeInt = 0,
        attention: Sequence[PositiveInt] = (32,),
    ) -> None:
        super().__init__()
        self.image_shape = (channels, *sides(image_size))
        self.num_classes = num_classes
        self.trunk = _Trunk(image_size, channels, width, max_width, attention)
        self.num_features = self.trunk.num_features
        self.last = ResidualDownBlock(self.num_features, self.num_features, downsample=False)
        normalise_spectrally(self)
        self.embedding = nn.Embedding(num_classes, self.num_features) if num_classes else None  # W
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=0.02)
        self.head = nn.Linear(self.num_features, 1)  # w_0 and b, or w' and b
        init_glorot(self.head)

    def layers(self, images: Tensor) -> list[Tensor]:
        """Map (N, channels, H, W) in [-1, 1] to the outputs of all blocks, (N, C, h, w) each."""
        check_images(images, self.image_shape)
        found = self.trunk.layers(images)
        return [*found, self.last(found[-1])]

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map frames beside their landmark pictures, (N, channels, H, W) in [-1, 1], to V(x, y), (N, F)."""
        return _pooled(self.layers(images)[-1])

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map V(x, y) (N, F), and the people int64 (N,) if they have vectors, to logits (N,)."""
        if labels is None or self.embedding is None:
            return super().judge(features, labels)
        known = (labels >= 0).to(features.dtype)
        own = (self.embedding(labels.clamp(min=0)) * features).sum(dim=1)
        return self.head(features).flatten() + known * own

    def forward(
        self, images: Tensor, labels: Tensor | None = None, with_features: bool = False, with_logits: bool = True
    ) -> Tensor | DiscriminatorOutput:
        """Map frames beside their landmark pictures (N, channels, H, W), and people int64 (N,), to logits (N,).

        With features, which are the outputs of all blocks, the result is a `DiscriminatorOutput`.
        """
        layers = self.layers(images)
        if not with_features:
            return self.judge(_pooled(layers[-1]), labels)
        return DiscriminatorOutput((self.judge(_pooled(layers[-1]), labels),) if with_logits else (), (layers,))
