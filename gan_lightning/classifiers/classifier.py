"""A classifier of images, and its file."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from gan_lightning.building import limited_building
from gan_lightning.data.files import shown, write_whole
from gan_lightning.data.images import to_channels
from gan_lightning.errors import one_line
from gan_lightning.networks.classifier import SmallClassifier
from gan_lightning.ranges import Range

SMALL = "small"
KIND = "gan_lightning classifier"
Kind = Literal["classes", "attributes"]
_VERSION = "1"
_LARGEST = 4_000_000_000  # bytes of a file
_SPARE = 1_000_000  # numbers that a network may allocate beside its weights
_ADVICE = "give a file that `gan-lightning train-classifier` wrote"
_MOST_NAMES = 100_000
_SIDES = Range(1, 4096)
_WITH_AUXILIARY = ("googlenet", "inception_v3")  # they give further logits in training, unless told otherwise


def backbones() -> list[str]:
    """Return the names of the networks that a classifier may have: `small` and torchvision's classification models."""
    return [SMALL, *models.list_models(module=models)]


def check_backbone(name: str) -> None:
    """Raise ValueError unless a classifier may have the network of that name."""
    if name not in backbones():
        raise ValueError(
            f"there is no backbone {name!r}: name {SMALL}, or one of torchvision's, such as "
            f"{', '.join(backbones()[1::12])}"
        )


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on images.

    Args:
        overall: share of images in the right class, or the mean of the attributes' accuracies.
        each: accuracy for the images of each class, or of each attribute, by name. A class without images is left out.
        images: number of images.
    """

    overall: float
    each: Mapping[str, float] = field(default_factory=dict)
    images: int = 0


class Classifier(nn.Module):
    """Gives logits for images of any size and number of channels: of classes, or of attributes.

    Args:
        names: of the classes or attributes, each once; two classes at least.
        kind: "classes" exclude each other (softmax); "attributes" are each there or not (independent logits).
        size: height and width to which images are resized.
        channels: 1 or 3, to which images are converted; torchvision's networks take 3.
        backbone: one of `backbones()`.
        accuracy: on images held back from the training. None = not measured.

    Raises:
        ValueError: names, size, channels or backbone are none such, or the backbone cannot take images of this size.
    """

    def __init__(
        self,
        names: Sequence[str],
        kind: Kind = "classes",
        size: tuple[int, int] = (64, 64),
        channels: int = 3,
        backbone: str = SMALL,
        accuracy: Accuracy | None = None,
    ) -> None:
        super().__init__()
        self.names, self.kind = tuple(names), kind
        self.size, self.channels, self.backbone = (size[0], size[1]), channels, backbone
        self.accuracy = accuracy
        self._check()
        if backbone == SMALL:
            self.network: nn.Module = SmallClassifier(channels, len(self.names))
        else:
            extra = {"aux_logits": False, "init_weights": True} if backbone in _WITH_AUXILIARY else {}
            self.network = models.get_model(backbone, weights=None, num_classes=len(self.names), **extra)

    def _check(self) -> None:
        if self.kind not in ("classes", "attributes"):
            raise ValueError(f"a classifier is of classes or of attributes, not of {self.kind!r}")
        if not self.names or len(set(self.names)) < len(self.names) or (self.kind == "classes" and len(self.names) < 2):
            raise ValueError(f"a classifier needs names for its {self.kind}, each once: it got {len(self.names)}")
        if any(not isinstance(side, int) or side not in _SIDES for side in self.size):
            raise ValueError(f"a classifier takes images with sides of {_SIDES} pixels, not {self.size}")
        check_backbone(self.backbone)
        if self.channels not in ((1, 3) if self.backbone == SMALL else (3,)):
            raise ValueError(
                f"{self.backbone} takes images of {'1 or 3' if self.backbone == SMALL else '3'} channels, not "
                f"{self.channels}: other images are converted"
            )

    def try_out(self) -> None:
        """Check that the network can take images of this size.

        Raises:
            ValueError: it cannot.
        """
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                self(torch.zeros(2, self.channels, *self.size, device=self.device))
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"{self.backbone} cannot take images of {self.size[0]}x{self.size[1]} pixels "
                f"({one_line(str(error))[:200]}): choose another size, 224 for most, or another backbone"
            ) from error
        finally:
            self.train(training)

    # ------------------------------------------------------------------ use

    @property
    def device(self) -> torch.device:
        """The network's device."""
        return next(self.network.parameters()).device

    def forward(self, images: Tensor) -> Tensor:
        """Return logits float32 (N, K) of float images (N, C, H, W) in [-1, 1], C of 1 to 4; differentiable.

        Images are converted to the classifier's channels (RGB to grey by luma, grey repeated, transparency over white)
        and resized to its size, bilinear and antialiased; the ratio of their sides is not kept.
        """
        with torch.autocast(images.device.type, enabled=False):
            images = to_channels(images.float(), self.channels)
            if images.shape[2:] != self.size:
                images = F.interpolate(images, self.size, mode="bilinear", align_corners=False, antialias=True)
            return self.network(images)

    def logits(self, images: Tensor) -> Tensor:
        """Return logits float32 (N, K); see `forward`."""
        return self(images)

    def log_odds(self, images: Tensor) -> Tensor:
        """Return the logarithms of p / (1 - p), float32 (N, K), for the probability p of each class or attribute.

        For attributes these are the logits; for classes, each logit minus the logsumexp of the others. Differentiable.
        """
        logits = self(images)
        if self.kind == "attributes":
            return logits
        own = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
        others = logits[:, None, :].expand(-1, logits.shape[1], -1).masked_fill(own, -math.inf)
        return logits - others.logsumexp(dim=2)

    def scores(self, images: Tensor) -> Tensor:
        """Return probabilities float32 (N, K): they sum to 1 over classes, and are independent for attributes."""
        logits = self(images)
        return logits.softmax(dim=1) if self.kind == "classes" else logits.sigmoid()

    def number(self, name: str) -> int:
        """Return the number of a class or attribute.

        Raises:
            ValueError: the classifier does not know it.
        """
        if name in self.names:
            return self.names.index(name)
        noun = "class" if self.kind == "classes" else "attribute"
        raise ValueError(f"the classifier knows no {noun} {name!r}: it knows {self.listed}")

    @property
    def listed(self) -> str:
        """The names for a message."""
        return ", ".join(self.names[:40]) + (", ..." if len(self.names) > 40 else "")

    # ------------------------------------------------------------------ files

    def save(self, path: Path) -> None:
        """Write it as one safetensors file with its description as metadata, whole or not at all."""
        description = {
            "names": self.names,
            "kind": self.kind,
            "size": self.size,
            "channels": self.channels,
            "backbone": self.backbone,
            "accuracy": None if self.accuracy is None else asdict(self.accuracy),
        }
        facts = {"kind": KIND, "version": _VERSION, "description": json.dumps(description)}
        content = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        write_whole(path, lambda part: part.write_bytes(save(content, facts)))

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> Self:
        """Read a file that `save` wrote, in evaluation mode and without gradients of its weights.

        No code in it is run, and no network is built that is larger than its weights.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds anything else.
        """
        if not path.is_file():
            raise FileNotFoundError(f"there is no file of a classifier {shown(path)}")
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST:,} bytes")
            with safe_open(path, "pt") as file:
                facts = file.metadata() or {}
                if facts.get("kind") != KIND or facts.get("version") != _VERSION:
                    raise ValueError("its metadata do not say so")
                arguments = _arguments(json.loads(facts["description"]))
                weights = {name: file.get_tensor(name) for name in _keys(file)}
            # the weights drawn here are overwritten
            with torch.random.fork_rng(devices=[]), limited_building(shown(path), weights, _ADVICE, spare=_SPARE):
                classifier = cls(**arguments)
            if _shapes(weights) != _shapes(classifier.network.state_dict()):
                raise ValueError(f"its weights are not those of {arguments['backbone']}")
            if not all(value.isfinite().all() for value in weights.values()):
                raise ValueError("some of its weights are NaN or infinite")
            classifier.network.load_state_dict(weights)
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{shown(path)} holds no classifier ({one_line(str(error))[:300]}): {_ADVICE}") from error
        return classifier.to(device).eval().requires_grad_(False)


def is_classifier(path: Path) -> bool:
    """Return whether a safetensors file says that it holds a classifier."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("kind") == KIND
    except (SafetensorError, OSError):
        return False


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in weights.items()}


def _keys(file: Any) -> Iterator[str]:
    return iter(file.keys())  # an open file has no __iter__


def _arguments(description: Any) -> dict[str, Any]:
    """Return the arguments of a `Classifier` from a file's description.

    Raises:
        ValueError: the description is damaged.
    """
    found = description if isinstance(description, dict) else {}
    names, size, accuracy = found.get("names"), found.get("size"), found.get("accuracy")
    sound = (
        isinstance(names, list)
        and 0 < len(names) <= _MOST_NAMES
        and all(isinstance(name, str) for name in names)
        and isinstance(size, list)
        and len(size) == 2
        and all(isinstance(found.get(key), str) for key in ("kind", "backbone"))
        and type(found.get("channels")) is int
    )
    if accuracy is not None:
        each = accuracy.get("each") if isinstance(accuracy, dict) else None
        sound = sound and isinstance(each, dict) and all(isinstance(share, float) for share in each.values())
        sound = sound and type(accuracy.get("images")) is int and isinstance(accuracy.get("overall"), float)
    if not sound:
        raise ValueError("its description is damaged")
    return {
        "names": names,
        "kind": found["kind"],
        "size": tuple(cast(list[Any], size)),
        "channels": found["channels"],
        "backbone": found["backbone"],
        "accuracy": None if accuracy is None else Accuracy(accuracy["overall"], accuracy["each"], accuracy["images"]),
    }
