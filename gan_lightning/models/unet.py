"""U-Net: Convolutional Networks for Biomedical Image Segmentation.

Ronneberger, Fischer, Brox, 2015. arXiv 1505.04597. Not a GAN, but the origin of pix2pix's generator.

Each pixel x of an image has a class l(x). The network gives logits a_k(x), p_k their softmax, and minimises

    E = Σ_x w(x) (-log p_l(x)(x))                                                                    (equation 1)
    w(x) = w_c(x) + w_0 exp(-(d_1(x) + d_2(x))² / 2σ²),   w_0 = 10, σ = 5 pixels                     (equation 2)

where w_c balances the classes, and d_1, d_2 are the distances to the nearest cell and the second nearest, so that the
network learns the narrow borders between cells that touch (see `PixelCrossEntropy`).
"""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import SGD

from gan_lightning.data.batches import PairedBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.families import FromSources
from gan_lightning.inference import Segmenter, Translator
from gan_lightning.inference.translation import image_of
from gan_lightning.losses import PixelCrossEntropy
from gan_lightning.metrics import SegmentationScores
from gan_lightning.networks import SegmentationUNet
from gan_lightning.regularizers import Terms
from gan_lightning.training.optimizers import OptimizerFactory
from gan_lightning.training.solo import SoloModule


class UNetSegmentation(FromSources, SoloModule):
    """Segmentation: every pixel of the source gets one of K classes.

    A segmentation is a grey image whose evenly spaced levels are the classes: -1 is class 0 and 1 is class K - 1. With
    two classes, black is the background and white is the foreground. The batch's targets are segmentations, and so are
    the outputs of `translate`, which have the size of their source.

    Args:
        generator: the network, with an attribute `classes`. It maps images to logits of their middle, and its method
            `whole` to logits of the whole image. None = the paper's, for a grey image and two classes.
        loss: a loss of logits and true classes. None = the paper's, with class 1 as cells and w_c = 1.
        base: the other arguments of `SoloModule`.

    Logged in evaluations: `val/dice`, `val/iou`, `val/pixel_accuracy` (see `SegmentationScores`).

    NOTE: the loss is a mean over pixels, not a sum, so that the learning rate does not depend on the size of the tiles.
    NOTE: the paper gives SGD with a momentum of 0.99 and no learning rate; 1e-3 is our choice.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(SGD, lr=1e-3, momentum=0.99)

    def __init__(self, generator: nn.Module | None = None, loss: PixelCrossEntropy | None = None, **base: Any) -> None:
        super().__init__(generator or SegmentationUNet(), **base)
        self.loss = loss or PixelCrossEntropy()
        classes = getattr(self.generator, "classes", None)
        if not isinstance(classes, int) or classes < 2:
            raise TypeError(
                f"the network {type(self.generator).__name__} does not state its classes (it is {classes!r}): give it "
                "an int attribute of this name, 2 or more"
            )
        self.num_classes = classes
        self.scores = SegmentationScores(self.num_classes)

    def losses(self, batch: PairedBatch) -> Terms:
        """Return the weighted cross-entropy of the tiles' middle, where the network's convolutions are valid."""
        return {"cross_entropy": self.loss(self.generator(batch.source), self.classes_of(batch.target))}

    def trial_step(self, batch: PairedBatch) -> None:
        """Compute the loss of whole images, since images in evaluations may be smaller than a training tile."""
        classes = self.classes_of(batch.target)
        if not torch.allclose(image_of(classes, self.num_classes), batch.target, atol=1e-3):
            raise ValueError(
                f"the targets have other levels than the {self.num_classes} evenly spaced ones of the network's "
                "classes: set its classes to the number of classes in the data, and read masks without interpolation, "
                "as datamodules.SegmentationFolder does"
            )
        self.loss(self.generator.whole(batch.source), classes)  # type: ignore[operator]

    def learners(self) -> list[nn.Module]:
        """Return the network alone, since the scores learn nothing."""
        return [self.generator]

    def generate(self, batch: PairedBatch) -> Tensor:
        """Return the class of each pixel of the sources, int64 (N, H, W)."""
        return self.classes_of(self.translate(batch.source))

    def render(self, outputs: Tensor) -> Tensor:
        """Convert classes to segmentations; the data's targets are segmentations already."""
        return outputs if outputs.is_floating_point() else image_of(outputs, self.num_classes)

    def check_data(self, data: DataDescription) -> None:
        """Check that the masks have as many levels as the network has classes."""
        super().check_data(data)
        if data.num_classes is not None and data.num_classes != self.num_classes:
            raise ValueError(
                f"the data's masks have {data.num_classes} classes, and the network of {type(self).__name__} knows "
                f"{self.num_classes}: set its classes to {data.num_classes}, or the data's levels to {self.num_classes}"
            )

    def classes_of(self, images: Tensor) -> Tensor:
        """Convert segmentations (N, 1, H, W) in [-1, 1] to classes, int64 (N, H, W)."""
        return ((images[:, 0] + 1) / 2 * (self.num_classes - 1)).round().long()

    @property
    def translator(self) -> Translator:
        """A translator of images of any size to segmentations float32 (N, 1, H, W) in [-1, 1]."""
        return Segmenter(self.averaged_generator)

    def on_validation_epoch_start(self) -> None:
        """Reset the scores, with tensors of this evaluation's mode (inference or not)."""
        self.scores.reset()

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, batch: PairedBatch, batch_idx: int) -> Tensor:
        """Return the classes of all pixels, and add them to the scores."""
        predicted = super().validation_step(batch, batch_idx)
        self.scores.update(predicted, self.classes_of(batch.target))
        return predicted

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Log the scores."""
        super().on_validation_epoch_end()
        self.log_dict({f"{self.stage}/{name}": value for name, value in self.scores.compute().items()})

    on_test_epoch_end = on_validation_epoch_end
