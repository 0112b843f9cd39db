"""Edits of generated images, carried over to a photograph at its own size.

Zhu, Krähenbühl, Shechtman, Efros, "Generative Visual Manipulation on the Natural Image Manifold" (iGAN), 2016, arXiv
1609.03552, section 5. From each image of a morph to the next, motion and colours are found in turn,

    min ∫ ‖I_t(x + u, y + v) · A - I_(t+1)(x, y)‖² + σ_s (‖∇u‖² + ‖∇v‖²) + σ_c ‖∇A‖²,

(u, v) a motion and A an affine map of colours for each pixel. Motions are joined along the morph, enlarged, and applied
to the photograph, and so are the colours.

NOTE: the motion is TV-L1 flow (Zach, Pock, Bischof 2007; scikit-image), which punishes the absolute gradient of the
    motion; the paper takes the flow of Brox et al. 2004.
NOTE: A is the least-squares fit over a Gaussian window round each pixel, drawn to the identity, in place of the
    gradient's penalty. After the motions are joined, it is fitted once more from the first image, moved, to the last.
NOTE: motions and colours are enlarged bilinearly; the paper's guided filter is left out.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.data.images import as_uint8, to_channels, to_float, to_uint8

ROUNDS = 3
"""Times that motion and colours are found in turn, as in the paper."""
_WINDOW = 1 / 16  # standard deviation of the window of colours, as a share of the shorter side
_IDENTITY = 1e-3  # weight of the pull of colours to the identity


def check_transfer() -> Callable[..., Any]:
    """Return the function that finds motion.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
    """
    try:
        return importlib.import_module("skimage.registration").optical_flow_tvl1
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'an edit is carried over to a photograph by optical flow, which needs a package: pip install "'
            'gan_lightning[paint]"'
        ) from error


@torch.no_grad()
def transfer(photograph: Tensor, frames: Tensor) -> Tensor:
    """Carry an edit over to a photograph.

    The images are taken to show the middle of the photograph, scaled, as a model's images do. The rest changes as the
    border of that does.

    Args:
        photograph: uint8 or uint16 (1 to 4, H, W).
        frames: the images of the edit in order, from that before it to the last, float (T, C, h, w) in [-1, 1], C 1 or
            3.

    Returns:
        uint8 (C, H, W).

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
    """
    flow_of = check_transfer()
    frames = frames.cpu().float()
    channels, *size = frames.shape[1:]
    motion = torch.zeros(2, *size)
    for before, after in zip(frames[:-1, None], frames[1:, None], strict=True):
        step = _motion(flow_of, before, after)
        motion = step + warped(motion[None], step)[0]
    colours = fit_colours(warped(frames[:1], motion), frames[-1:])

    whole = to_float(to_channels(as_uint8(photograph)[None], channels)).cpu()
    height, width = whole.shape[2:]
    scale = max(size[0] / height, size[1] / width)
    cut = [min(height, round(size[0] / scale)), min(width, round(size[1] / scale))]
    top, left = (height - cut[0]) // 2, (width - cut[1]) // 2
    around = [left, width - cut[1] - left, top, height - cut[0] - top]
    ratios = torch.tensor([cut[0] / size[0], cut[1] / size[1]]).view(2, 1, 1)
    moved = warped(whole, _enlarged(motion, cut, around) * ratios)
    return to_uint8(recoloured(moved, _enlarged(colours, cut, around))[0])


def _motion(flow_of: Callable[..., Any], before: Tensor, after: Tensor) -> Tensor:
    """Return the motion (2, H, W) that makes of the image before, recoloured, the one after, both (1, C, H, W).

    Args:
        flow_of: finds the motion between two grey images.
        before: in [-1, 1].
        after: in [-1, 1].
    """
    motion = torch.zeros(2, *before.shape[2:])
    for _ in range(ROUNDS):
        colours = fit_colours(warped(before, motion), after)
        # grey values in [0, 1], of colours that suit the image after
        grey = [(to_channels(image, 1)[0, 0] + 1) / 2 for image in (after, recoloured(before, colours).clamp(-1, 1))]
        motion = torch.from_numpy(flow_of(*(image.numpy() for image in grey))).float()
    return motion


def warped(image: Tensor, motion: Tensor) -> Tensor:
    """Return an image (1, C, H, W) whose pixels are those at a distance, down and right, in the one given.

    Args:
        image: float (1, C, H, W).
        motion: distance of each pixel's origin in pixels, (2, H, W); beyond the border is the border's pixel.
    """
    height, width = image.shape[2:]
    rows, columns = torch.arange(height) + 0.0, torch.arange(width) + 0.0
    down, across = motion[0] + rows[:, None], motion[1] + columns
    grid = torch.stack([(2 * across + 1) / width - 1, (2 * down + 1) / height - 1], dim=-1)
    return F.grid_sample(image, grid[None], padding_mode="border", align_corners=False)


def fit_colours(image: Tensor, target: Tensor) -> Tensor:
    """Return, for each pixel, the affine map of colours from an image to a target, both (1, C, H, W).

    Returns:
        (C · (C + 1), H, W): the rows of C x (C + 1) matrices.
    """
    channels, height, width = image.shape[1:]
    ones = torch.ones_like(image[0, :1])
    given, wanted = torch.cat([image[0], ones]).double(), target[0].double()
    # minimise, over a window w round each pixel, Σ w ‖A x - y‖² + ε ‖A - identity‖²
    squares = _windowed(given[:, None] * given[None])  # x xᵀ
    products = _windowed(wanted[:, None] * given[None])  # y xᵀ
    identity = torch.eye(channels + 1, dtype=torch.float64)
    squares = squares.permute(2, 3, 0, 1) + _IDENTITY * identity
    products = products.permute(2, 3, 0, 1) + _IDENTITY * identity[:channels]
    maps = torch.linalg.solve(squares, products.mT).mT  # (H, W, C, C + 1)
    return maps.permute(2, 3, 0, 1).reshape(-1, height, width).float()


def recoloured(image: Tensor, colours: Tensor) -> Tensor:
    """Return an image (1, C, H, W) with its colours changed by the maps of `fit_colours`."""
    channels = image.shape[1]
    maps = colours.view(channels, channels + 1, *image.shape[2:])
    return (torch.einsum("ijhw,jhw->ihw", maps[:, :channels], image[0]) + maps[:, channels])[None]


def _windowed(values: Tensor) -> Tensor:
    """Return means (..., H, W) over a Gaussian window round each pixel."""
    deviation = max(0.5, _WINDOW * min(values.shape[-2:]))
    down, across = (_window(side, deviation).to(values) for side in values.shape[-2:])
    return down @ values @ across.T


def _window(side: int, deviation: float) -> Tensor:
    """Return the weights of all places (columns) for each place (rows) of a line, of the sum 1, (side, side)."""
    places = torch.arange(side, dtype=torch.float64)
    return (-(((places[:, None] - places) / deviation) ** 2) / 2).softmax(dim=1)


def _enlarged(values: Tensor, size: Sequence[int], around: Sequence[int]) -> Tensor:
    """Return values (C, H, W) at another size, and those of its border around: left, right, above and below."""
    return F.pad(F.interpolate(values[None], [*size], mode="bilinear"), [*around], mode="replicate")[0]
