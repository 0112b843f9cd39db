"""Networks of timm (an optional package) as feature extractors, DINOv2 among them."""

import difflib
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import normalize
from typing_extensions import override

from gan_lightning.extractors.base import FeatureExtractor, Features
from gan_lightning.extractors.resizing import resize_clean
from gan_lightning.weights import absent, find_weights, holding, named_weights, read_weights

DINOv2Model = Literal["vits14", "vitb14", "vitl14", "vitg14"]


class TimmExtractor(FeatureExtractor):
    """Any of timm's networks without its classifier, with the resize and crop published with its weights.

    Features are the pooled ones of the network. There are no logits. Scores carry the network's name and only compare
    with scores from the same one.

    Args:
        model: a name of `timm.list_models(pretrained=True)`, with or without the training of its weights:
            "resnet50.a1_in1k", "efficientnet_lite0".
        weights: timm's file of weights. None = the file that the environment variable GAN_LIGHTNING_TIMM_ and the
            model's name in capitals names, else the one in Hugging Face's cache, where timm keeps it.
        download: download the file into that cache if none is found.

    Raises:
        ModuleNotFoundError: timm is not installed.
        ValueError: timm has no weights of that name, or the file does not hold them.
        FileNotFoundError: there is no such file.
    """

    channels = 3

    def __init__(self, model: str, weights: Path | None = None, download: bool = False) -> None:
        super().__init__()
        name = f"timm/{model}"
        timm = _timm(name)
        published = timm.get_pretrained_cfg(model) if timm.is_model(model) else None
        if published is None or not published.has_weights:
            near = difflib.get_close_matches(model, timm.list_models(pretrained=True), n=5, cutoff=0.4)
            raise ValueError(
                f"timm has no weights named {model!r} (near to it: {', '.join(near) or 'none'}); "
                "timm.list_models(pretrained=True) lists them all"
            )
        if published.hf_hub_id:
            path = _in_hugging_face_cache(name, published, weights, download)
        else:
            path = find_weights(name, published.url, weights, download)
        with holding(name, path):
            # keep the classifier at first, so that weights are loaded strictly
            self.network = _build(timm, model, read_weights(path))
            self.network.reset_classifier(0)
        self.num_features = self.network.head_hidden_size
        settings = timm.data.resolve_model_data_config(self.network)
        self.transform = timm.data.create_transform(**settings, normalize=False)
        self.mean, self.std = settings["mean"], settings["std"]
        self.preprocessing = (
            f"{model} {published.tag}: {' '.join(f'{self.transform!r}'.split())} / 255, mean {self.mean} std {self.std}"
        )
        self.requires_grad_(False).eval()

    @override
    def extract(self, images: Tensor) -> Features:
        return Features(self.network(normalize(self.transform(images) / 255, self.mean, self.std)))


class DINOv2(FeatureExtractor):
    """DINOv2 (Oquab et al. 2023, 2304.07193), the extractor that Stein et al. 2023 (2306.04675) recommend.

    Features are those of the class token, normalised, before any head: 384, 768, 1024 or 1536. There are no logits.
    Images are resized to 224x224 by clean-fid's resize, as by `dgm-eval --clean_resize`, Stein et al.'s code.

    Args:
        model: "vits14", "vitb14", "vitl14" (the published choice) or "vitg14".
        weights: Meta's file of weights, or timm's. None = the file that the environment variable
            GAN_LIGHTNING_DINOV2_VITL14 (or of another model's name) names, else Meta's in torch hub's folder of
            checkpoints, where Meta's own code keeps it.
        download: download the file into torch hub's folder if none is found.

    Raises:
        ModuleNotFoundError: timm, which builds the network, is not installed.
        FileNotFoundError: there is no such file.
        ValueError: the file does not hold the network's weights.
    """

    channels = 3

    def __init__(
        self,
        model: DINOv2Model = "vitl14",
        weights: Path | None = None,
        download: bool = False,
    ) -> None:
        super().__init__()
        name = f"dinov2_{model}"
        timm = _timm(name)
        size = {"s": "small", "b": "base", "l": "large", "g": "giant"}[model[3]]
        architecture = f"vit_{size}_patch14_dinov2"
        path = find_weights(name, timm.get_pretrained_cfg(architecture).url, weights, download)
        with holding(name, path):
            state = read_weights(path)
            if "pos_embed" not in state:
                raise TypeError("it has no position embeddings")
            state["pos_embed"] = _positions(state["pos_embed"])
            self.network = _build(timm, architecture, state, img_size=224)
        self.num_features = self.network.num_features
        self.preprocessing = (
            f"{model}: bicubic to 224, antialiased, clipped to [0, 255], not rounded; ImageNet's mean and deviation"
        )
        self.requires_grad_(False).eval()

    @override
    def extract(self, images: Tensor) -> Features:
        x = normalize(resize_clean(images.float(), 224) / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        return Features(self.network(x))


def _positions(embedding: Tensor) -> Tensor:
    """Resize position embeddings (1, 1 + 37², d), for 518 pixels, to (1, 1 + 16², d), for 224 pixels.

    NOTE: as in Meta's code, not antialiased and with a tenth of a patch added to the scale, unlike timm's.
    """
    token, patches = embedding[:, :1], embedding[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    grid = patches.transpose(1, 2).unflatten(2, (side, side))
    return torch.cat([token, F.interpolate(grid, scale_factor=16.1 / side, mode="bicubic").flatten(2).mT], dim=1)


def _timm(name: str) -> ModuleType:
    try:
        import timm.data  # noqa: PLC0415 (optional)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"the extractor {name!r} needs timm: pip install timm") from error
    return timm


def _build(timm: ModuleType, model: str, state: dict[str, Tensor], **options: Any) -> Any:
    """Build timm's network with these weights; timm converts old names and shapes of weights."""
    # the weights drawn before loading are overwritten: leave the run's random state unchanged
    with torch.random.fork_rng(devices=[]):
        return timm.create_model(model, pretrained=True, pretrained_cfg_overlay={"state_dict": state}, **options)


def _in_hugging_face_cache(name: str, published: Any, weights: Path | None, download: bool) -> Path:
    """Return the file that the argument or the environment names, else timm's in the cache of Hugging Face's hub."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 (comes with timm)
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    named = named_weights(name, weights)
    if named is not None:
        return named
    repository, _, revision = published.hf_hub_id.partition("@")
    file = published.hf_hub_filename or "model.safetensors"
    try:
        return Path(hf_hub_download(repository, file, revision=revision or None, local_files_only=not download))
    except LocalEntryNotFoundError as error:
        raise absent(name, "in Hugging Face's cache", f"put them there by `hf download {repository} {file}`") from error
