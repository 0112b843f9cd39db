"""Classification accuracy score: train a classifier on generated images, and test it on real ones."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lightning.data.images import to_float
from gan_lightning.metrics.classifier_training import fit, repeatable
from gan_lightning.metrics.image_sets import ImageSet, PooledImageMetric
from gan_lightning.networks.classifier import SmallClassifier
from gan_lightning.ranges import NonNegativeInt, PositiveInt

EVALUATED = 500  # number of images at a time in the test of the classifier


class ClassificationAccuracy(PooledImageMetric):
    """CAS, Ravuri and Vinyals 2019 (1905.10887): accuracy on real images of a classifier that saw only generated ones.

    In [0, 1], higher is better; chance is 1 / number of classes. The test set is a random half of the real images of
    each class. For comparison, a second classifier is trained on the other half: the difference is the generator's
    deficit. Both are trained by one recipe on equally many images (a random subset of the larger set), from the same
    initial
    weights: AdamW, one learning-rate cycle up to 0.005, weight decay 0.05, no augmentation, float32. The test set does
    not affect the training.

    NOTE: the publication's ResNet-50 takes days; numbers by another network or recipe only compare among themselves.
    Under DDP each rank trains the same classifiers on the images of all ranks.

    Args:
        network: makes a classifier for numbers of channels and classes, from float images in [-1, 1] to logits (N, K).
        epochs: number of passes over the training images.
        batch_size: batch size of the training.
        seed: seed of the subsets, the initial weights and the order of images. Global generators are not used.
    """

    def __init__(
        self,
        network: Callable[[int, int], nn.Module] = SmallClassifier,
        epochs: PositiveInt = 20,
        batch_size: PositiveInt = 128,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """Return `{"cas": ..., "cas_worst_class": ..., "cas_real": ...}`.

        These are the accuracy of the classifier of generated images, its accuracy in its worst class, and the accuracy
        of the classifier of real images.

        Raises:
            TooFewSamplesError: a class has fewer than two real images.
            ValueError: images have no classes, or all the same one; or a network returns NaN.
        """
        real, fake = self.sets(2, "a classifier needs two classes")
        real_labels, fake_labels = _classes(real, "real"), _classes(fake, "generated")
        counts = real_labels.bincount()
        self.require(int(counts[counts > 0].min()), 2, "of each class, for training and test")
        random = torch.Generator().manual_seed(self.seed)
        train, test = _halves(real_labels, random)
        count = min(len(train), len(fake.images))
        classes = int(torch.cat((real_labels, fake_labels)).max()) + 1
        tested = real_labels[test]

        def correct(images: Tensor, labels: Tensor) -> Tensor:
            """Return which test images a classifier predicts correctly after training on a subset of these images."""
            chosen = torch.randperm(len(images), generator=random)[:count].to(images.device)
            predicted = self._predict(images[chosen], labels[chosen], real.images[test], classes)
            return (predicted == tested).double()

        by_fake = correct(fake.images, fake_labels)
        by_real = correct(real.images[train], real_labels[train])
        worst = torch.stack([by_fake[tested == label].mean() for label in tested.unique()]).min()
        return {"cas": by_fake.mean(), "cas_worst_class": worst, "cas_real": by_real.mean()}

    def _predict(self, images: Tensor, labels: Tensor, tested: Tensor, classes: int) -> Tensor:
        """Return the classes of the tested images as predicted by a classifier trained on the images and labels."""
        with repeatable(self.seed, images.device):
            network = self.network(images.shape[1], classes).to(images.device)
            fit(network, images, labels, F.cross_entropy, self.epochs, self.batch_size, "classification accuracy")
            with torch.no_grad():
                logits = torch.cat([network(to_float(part)) for part in tested.split(EVALUATED)])
        if not logits.isfinite().all():
            raise ValueError(f"{type(network).__name__} learnt to give NaN or infinite logits: choose another network")
        return logits.argmax(dim=1)


def _classes(images: ImageSet, name: str) -> Tensor:
    """Return the labels (N,), after a check that there are at least two classes."""
    labels = images.labels
    if labels is None:
        raise ValueError(
            f"ClassificationAccuracy needs the classes of all images, and the {name} ones have none: evaluate a "
            "conditional model on labelled data, or leave it out"
        )
    if bool((labels == labels[0]).all()):
        raise ValueError(
            f"ClassificationAccuracy needs several classes, and all {len(labels)} {name} images are of class "
            f"{int(labels[0])}: give images of several classes"
        )
    return labels


def _halves(labels: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return two random halves of the images, by their indices, equal in each class; an odd one is in the second."""
    order = torch.randperm(len(labels), generator=random).to(labels.device)
    members = [order[labels[order] == label] for label in labels.unique()]
    return (
        torch.cat([some[: len(some) // 2] for some in members]),
        torch.cat([some[len(some) // 2 :] for some in members]),
    )
