"""Evaluation speed: FID, IS, KID, precision and recall in our one pass, against torchmetrics' separate metrics.

python -m benchmarks.evaluation --root data --extractor inception --batches 16 --json evaluation.json

An evaluation has as many generated images as real ones. Both are random choices of MNIST that change from round to
round and are equal for all variants. Rates are in batches of generated images per second. torchmetrics' FID, IS and KID
are used as in its documentation: each gets the images. torchmetrics has no precision and recall; those come from
torch-fidelity's function, on features of another pass. All variants have the same settings and the same extractor.
Inception has random weights, which take as long as trained ones.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance
from torchvision.datasets import MNIST

from benchmarks.rounds import compare, parser
from gan_lightning import metrics
from gan_lightning.evaluation import Evaluator, MetricChoice
from gan_lightning.metrics import DigitClassifier, FeatureExtractor, Features, InceptionV3

SUBSET_SIZE = 1000  # of KID, if there are as many images
NEIGHBOURS = 3  # of precision and recall

Values = dict[str, float]
Evaluate = Callable[[int, Tensor | None, Tensor], Values]
"""Arguments: batch size, real images (None: those of the call before) and generated ones, uint8 (N, 1, 32, 32)."""
Sets = Callable[[int], tuple[Tensor, Tensor]]
"""From the number of a round to its real and generated images, uint8 (N, 1, 32, 32)."""


class FidelityInception(FeatureExtractor):
    """torch-fidelity's unchanged Inception, which torchmetrics uses."""

    num_features = 2048
    channels = 3

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
        )

    def extract(self, images: Tensor) -> Features:
        """Compute features of uint8 images (N, 3, H, W)."""
        return Features(*self.network(images))


class Part(nn.Module):
    """An extractor in the form that torchmetrics needs: a network from images to one kind of features."""

    def __init__(self, extractor: FeatureExtractor, name: str) -> None:
        super().__init__()
        self.extractor = extractor
        self.name = name
        self.num_features = extractor.num_features

    def forward(self, images: Tensor) -> Tensor:
        """Compute features of uint8 images."""
        return getattr(self.extractor(images), self.name)


def ours(evaluator: Evaluator, batch_size: int, real: Tensor | None, fake: Tensor) -> Values:
    """Evaluate once; without real images, compare with those that the evaluator has kept."""
    evaluator.reset(keep_real=real is None)
    for images, is_real in ((real, True), (fake, False)):
        for batch in () if images is None else images.split(batch_size):
            evaluator.feed(evaluator.features(batch), real=is_real)
    return {name: float(value) for name, value in evaluator.compute().items()}


class Separate:
    """torchmetrics' FID, IS and KID, and torch-fidelity's precision and recall.

    Args:
        extractor: makes features of uint8 images.
        subset_size: number of images in each of KID's subsets.
        keep_real: FID and KID keep their statistics of real images (`reset_real_features=False`).
    """

    def __init__(self, extractor: FeatureExtractor, subset_size: int, keep_real: bool = False) -> None:
        self.pooled = Part(extractor, "pooled")
        self.fid = FrechetInceptionDistance(self.pooled, reset_real_features=not keep_real)
        self.kid = KernelInceptionDistance(self.pooled, subset_size=subset_size, reset_real_features=not keep_real)
        self.inception_score = InceptionScore(Part(extractor, "logits"))
        self.real_features = torch.empty(0)  # for precision and recall

    def __call__(self, batch_size: int, real: Tensor | None, fake: Tensor) -> Values:
        """Evaluate once; without real images, compare with those of the last call that had some."""
        for metric in (self.fid, self.kid):
            metric.reset()
            for images, is_real in ((real, True), (fake, False)):
                for batch in () if images is None else images.split(batch_size):
                    metric.update(batch, real=is_real)
        self.inception_score.reset()
        for batch in fake.split(batch_size):
            self.inception_score.update(batch)
        if real is not None:
            self.real_features = torch.cat([self.pooled(batch) for batch in real.split(batch_size)])
        fake_features = torch.cat([self.pooled(batch) for batch in fake.split(batch_size)])
        shares = prc_features_to_metric(fake_features, self.real_features, prc_neighborhood=NEIGHBOURS, verbose=False)
        return {
            "fid": float(self.fid.compute()),
            "inception_score": float(self.inception_score.compute()[0]),
            "kid": float(self.kid.compute()[0]),
            "precision": shares["precision"],
            "recall": shares["recall"],
        }


def random_inception(path: Path) -> Path:
    """Write random weights in torch-fidelity's layout, of a size that lets activations neither vanish nor explode."""
    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.random.fork_rng(devices=[]), patch.object(FeatureExtractorInceptionV3, "load_state_dict"):
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path=empty)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
    torch.save(network.state_dict(), path)
    return path


def digits(root: Path, number: int) -> Sets:
    """Choices of `number` real images of MNIST and as many others, padded to 32x32."""
    images = nn.functional.pad(MNIST(root).data[:, None], (2, 2, 2, 2))

    def choose(round_number: int) -> tuple[Tensor, Tensor]:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(round_number))
        return images[order[:number]], images[order[number : 2 * number]]

    return choose


def rate(evaluate: Evaluate, sets: Sets, batch_size: int, rounds: Iterator[int], known: bool) -> float:
    """Measure batches of generated images per second, in an evaluation of the next round's images.

    If the real images are `known`, they are not given again.
    """
    real, fake = sets(next(rounds))
    start = perf_counter()
    evaluate(batch_size, None if known else real, fake)
    return len(fake) / batch_size / (perf_counter() - start)


def main(args: list[str] | None = None) -> None:
    warnings.filterwarnings("ignore", message="Metric `.*` will save all extracted features in buffer")
    options = parser(__doc__, batches=16)
    options.add_argument("--extractor", choices=("inception", "digits"), default="digits", help="of the features")
    arguments = options.parse_args(args)
    torch.set_num_threads(arguments.threads)
    batch_size, number = arguments.batch_size, arguments.batches * arguments.batch_size
    sets = digits(arguments.root, number)
    subset_size = min(SUBSET_SIZE, number)
    shipped: FeatureExtractor | None = None
    extractor: FeatureExtractor
    if arguments.extractor == "inception":
        with TemporaryDirectory() as folder:
            weights = random_inception(Path(folder, "weights.pth"))
            extractor, shipped = InceptionV3(weights), FidelityInception(weights)
    else:
        extractor = DigitClassifier()

    first: dict[str, Evaluate] = {
        "torchmetrics": Separate(extractor, subset_size),
        "ours": partial(ours, Evaluator(extractor, suite(subset_size))),
    }
    later: dict[str, Evaluate] = {
        "torchmetrics, real kept": Separate(extractor, subset_size, keep_real=True),
        "ours, real known": partial(ours, Evaluator(extractor, suite(subset_size))),
    }
    if shipped is not None:
        first["torchmetrics, its own Inception"] = Separate(shipped, subset_size)
    for evaluate in later.values():
        evaluate(batch_size, *sets(0))
    variants: dict[str, Callable[[], float]] = {
        name: partial(rate, evaluate, sets, batch_size, count(1), name in later)
        for name, evaluate in (first | later).items()
    }
    compare(variants, arguments)


def suite(subset_size: int) -> list[MetricChoice]:
    """Our metrics, with the settings of the other variants."""
    return [
        metrics.FrechetInceptionDistance,
        metrics.InceptionScore,
        partial(metrics.KernelInceptionDistance, subset_size=subset_size),
        partial(metrics.PrecisionRecall, k=NEIGHBOURS),
    ]


if __name__ == "__main__":
    main()
