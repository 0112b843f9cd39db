"""pix2pixHD: High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs.

Wang, Liu, Zhu, Tao, Kautz, Catanzaro, 2017. arXiv 1711.11585.

A label map s becomes an image G(s) of 2048x1024. Discriminators D_1, D_2, D_3 see it at three sizes:

    min_G ((max_{D_1,D_2,D_3} Σ_k L_GAN(G, D_k)) + λ Σ_k L_FM(G, D_k)),   λ = 10                  (equation 5)
    L_FM(G, D_k) = E_{s,x} Σ_i 1/N_i ||D_k^(i)(s, x) - D_k^(i)(s, G(s))||_1                       (equation 4)

L_GAN is least squares. A perceptual loss, 10 Σ_i w_i ||F^(i)(x) - F^(i)(G(s))||_1 in VGG, is optional (section 4).
G is trained at half the size first; then an enhancer is put around it. An encoder E of x, averaged over instances,
gives G features, so that a user can choose among styles of each class (section 3.4).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from gan_lightning import private
from gan_lightning.data.batches import PairedBatch
from gan_lightning.families import LabelTranslation
from gan_lightning.layers.labels import levels_of
from gan_lightning.losses import AdversarialLoss, LeastSquares, PerceptualLoss
from gan_lightning.networks import InstanceEncoder, MultiScale, PatchGAN, Pix2PixHDGenerator
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from gan_lightning.training.adversarial import Player, Terms
from gan_lightning.training.feature_memory import FeatureMemory


class Pix2PixHD(LabelTranslation):
    """Pictures from label maps, from coarse to fine, with a style for each class if wanted.

    Args:
        generator: G. None = the paper's coarse one for Cityscapes.
        discriminator: D_1, D_2, ... None = the paper's three for Cityscapes: `PatchGAN`s of 39 channels.
        loss: the adversarial loss. None = least squares, halved for the discriminators only.
        lambda_layers: weight λ of L_FM. 0 turns it off.
        perceptual: a perceptual loss. None = no such term; the authors' is VGG19's.
        lambda_perceptual: weight of the perceptual loss.
        encoder: E, if G takes features; called with images and label maps. None = G takes none.
        memory: number of E's features that are kept for each class, those of the last instances. Evaluations and
            checkpoints cluster them to the centres among which a style chooses.
        fixed_epochs: number of epochs at the beginning in which only the enhancers of G learn.
        base: the arguments of `AdversarialModule`.

    Raises:
        TypeError: G takes features and there is no encoder, or the other way round.

    NOTE: L_FM is averaged over D_1, D_2, D_3, and L_GAN summed, as in the authors' code. D's loss is a mean over them.
    NOTE: the authors cluster the features of the whole training set after training, by K-means; here they are those of
        the last images, of one instance of each class in each.
    NOTE: D steps before G; the authors compute both losses before either steps.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_layers: NonNegativeFloat = 10.0,
        perceptual: PerceptualLoss | None = None,
        lambda_perceptual: NonNegativeFloat = 10.0,
        encoder: InstanceEncoder | None = None,
        memory: PositiveInt = 500,
        fixed_epochs: NonNegativeInt = 0,
        **base: Any,
    ) -> None:
        patch = partial(PatchGAN, in_channels=39, norm="instance", padding=2)
        networks = generator or Pix2PixHDGenerator(), discriminator or MultiScale(patch, scales=3)
        super().__init__(*networks, lambda_layers, perceptual, lambda_perceptual, **base)
        wanted, made = getattr(self.generator, "features", 0), 0 if encoder is None else encoder.features
        if wanted != made:
            raise TypeError(
                f"the generator takes {wanted} features, and the encoder makes {made}: set both to the same"
            )
        self.encoder = encoder
        self.loss = loss or LeastSquares(discriminator_scale=0.5, generator_scale=1.0)
        self.fixed_epochs = fixed_epochs
        self.memory = FeatureMemory(self.generator.planes.num_classes, made, memory)

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; E learns with G."""
        encoder = [] if self.encoder is None else [self.encoder]
        return {"discriminator": [self.discriminator], "generator": [self.generator, *encoder]}

    def draw_fakes(self, batch: PairedBatch) -> Tensor:
        """Return G(s), with features of x if there is an encoder."""
        self.generator.coarse_is_fixed = self.training and self.current_epoch < self.fixed_epochs
        if self.encoder is None:
            return self.generator(batch.source)
        features = self.encoder(batch.target, batch.source)
        if self.training:
            self._remember(batch.source, features.detach())
        return self.generator(batch.source, features)

    def generator_loss(self, batch: PairedBatch, fake: Tensor) -> Terms:
        """Return the terms of equation 5, and the perceptual one."""
        terms = super().generator_loss(batch, fake)
        return terms | {"adversarial": len(getattr(self.discriminator, "scales", [None])) * terms["adversarial"]}

    def prepare(self) -> None:
        """Cluster the features of each class to the centres among which styles choose."""
        super().prepare()
        if self.encoder is not None and len(self.memory):
            generators: tuple[Any, Any] = self.generator, self.averaged_generator
            for network in generators:
                self.memory.cluster(network.centres, network.found)

    def _remember(self, maps: Tensor, features: Tensor) -> None:
        """Keep the features of one instance of each class in each image, on all processes."""
        classes = levels_of(maps[:, 0])
        found = self.memory.sample(classes, features)
        if private.trainer_of(self) is not None and self.trainer.world_size > 1:
            found = self.all_gather(found).flatten(0, 1)  # type: ignore[union-attr]
        self.memory.add(found)
