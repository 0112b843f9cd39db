"""Classification accuracy score: what a classifier learns from generated images, and how well it does on real ones."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lightning.data.images import to_float
from gan_lightning.metrics.image_sets import ImageSet, PooledImageMetric, own_random_state
from gan_lightning.metrics.progress import progress
from gan_lightning.ranges import NonNegativeInt, PositiveInt

LEARNING_RATE = 5e-3
WEIGHT_DECAY = 0.05
EVALUATED = 500  # images at a time, when the classifier is tested


class SmallClassifier(nn.Sequential):
    """Four 3x3 convolutions with batch norm, the last three of stride 2, and a linear layer on averages over quarters.

    From images (N, `channels`, H, W), 8 pixels a side or larger and meant for up to 64, to logits (N, `classes`).
    """

    def __init__(self, channels: int, classes: int) -> None:
        blocks: list[nn.Module] = []
        for width, stride in ((32, 1), (64, 2), (128, 2), (256, 2)):
            blocks += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        super().__init__(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, classes))


class ClassificationAccuracy(PooledImageMetric):
    """CAS, Ravuri and Vinyals 2019 (1905.10887): accuracy on real images of a classifier that saw only generated ones.

    In [0, 1], higher is better; chance is 1 / number of classes. Half of the real images of each class, a random
    choice, is the test set. What a classifier reaches that was trained on the other half is given beside it: the gap is
    what the generator is short of. Both train by one recipe on equally many images (the larger set is cut by a random
    choice), always from the same initial weights: AdamW, one learning-rate cycle up to 0.005, weight decay 0.05, no
    augmentation, float32. The test set has no part in it.

    NOTE: the publication's ResNet-50 takes days; numbers by another network or recipe compare only among themselves.
    Under DDP each rank trains the same classifiers on the images of all.

    Args:
        network: makes a classifier for so many channels and classes, from float images in [-1, 1] to logits (N, K).
        epochs: passes over the training images.
        batch_size: of training.
        seed: of the choices, the initial weights and the order of images; no global generator is touched.
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
        """`{"cas": ..., "cas_worst_class": ..., "cas_real": ...}`: accuracy of the classifier of generated images, in
        the class that it knows least, and of the classifier of real ones.

        Raises:
            TooFewSamplesError: where a class has fewer than two real images.
            ValueError: where images have no classes, or all the same; or a network gives NaN.
        """
        real, fake = self.sets(2, "a classifier needs classes to tell apart")
        real_labels, fake_labels = _classes(real, "real"), _classes(fake, "generated")
        counts = real_labels.bincount()
        self.require(int(counts[counts > 0].min()), 2, "of each class, to train on and to test on")
        random = torch.Generator().manual_seed(self.seed)
        train, test = _halves(real_labels, random)
        count = min(len(train), len(fake.images))
        classes = int(torch.cat((real_labels, fake_labels)).max()) + 1
        tested = real_labels[test]

        def right(images: Tensor, labels: Tensor) -> Tensor:
            """Which of the test images a classifier gets right that was trained on some of these."""
            chosen = torch.randperm(len(images), generator=random)[:count].to(images.device)
            predicted = self._predict(images[chosen], labels[chosen], real.images[test], classes)
            return (predicted == tested).double()

        by_fake = right(fake.images, fake_labels)
        by_real = right(real.images[train], real_labels[train])
        worst = torch.stack([by_fake[tested == label].mean() for label in tested.unique()]).min()
        return {"cas": by_fake.mean(), "cas_worst_class": worst, "cas_real": by_real.mean()}

    def _predict(self, images: Tensor, labels: Tensor, tested: Tensor, classes: int) -> Tensor:
        """The classes of the tested images, says a classifier trained on the images and their labels."""
        size = min(self.batch_size, len(images))
        steps = len(images) // size
        with (
            torch.inference_mode(False),  # whose tensors no training could use: those indexed below are copies
            torch.enable_grad(),
            torch.autocast(images.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            own_random_state(self.seed, images.device),
        ):
            network = self.network(images.shape[1], classes).to(images.device).train()
            optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, self.epochs * steps)
            for _ in progress("classification accuracy", range(self.epochs)):
                order = torch.randperm(len(images)).to(images.device)
                for batch in order[: steps * size].split(size):
                    loss = F.cross_entropy(network(to_float(images[batch])), labels[batch])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
            network.eval()
            with torch.no_grad():
                logits = torch.cat([network(to_float(part)) for part in tested.split(EVALUATED)])
        if not logits.isfinite().all():
            raise ValueError(f"{type(network).__name__} learnt to give NaN or infinite logits: choose another network")
        return logits.argmax(dim=1)


def _classes(images: ImageSet, name: str) -> Tensor:
    """The labels, (N,) of at least two classes."""
    labels = images.labels
    if labels is None:
        raise ValueError(
            f"ClassificationAccuracy needs the classes of all images, and the {name} ones have none: evaluate a "
            "conditional model on labelled data, or leave it out"
        )
    if bool((labels == labels[0]).all()):
        raise ValueError(
            f"ClassificationAccuracy tells classes apart, and all {len(labels)} {name} images are of class "
            f"{int(labels[0])}: give images of several classes"
        )
    return labels


def _halves(labels: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two random halves of the images, by their indices, each class shared evenly; an odd one is in the second."""
    order = torch.randperm(len(labels), generator=random).to(labels.device)
    members = [order[labels[order] == label] for label in labels.unique()]
    return (
        torch.cat([some[: len(some) // 2] for some in members]),
        torch.cat([some[len(some) // 2 :] for some in members]),
    )
