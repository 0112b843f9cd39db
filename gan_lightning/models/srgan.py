"""SRGAN: Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network.

Ledig, Theis, Huszár, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi, 2016. arXiv 1609.04802.

    min_G max_D E[log D(I_HR)] + E[log(1 - D(G(I_LR)))]                                           (equation 2)
    L(G) = l_VGG + 10^-3 E[-log D(G(I_LR))]                                                       (equations 3 and 6)
    l_VGG = mean (φ_5,4(I_HR) - φ_5,4(G(I_LR)))²,   φ_5,4 = VGG19's features / 12.75              (equation 5)

ESRGAN (Wang et al., 2018, arXiv 1809.00219) is the same game with other networks and losses:

    L(G) = mean |φ(I_HR) - φ(G(I_LR))| + 5·10^-3 L_Ra(G) + 10^-2 mean |I_HR - G(I_LR)|            (its equation 3)

with residual-in-residual dense blocks for G, φ before its ReLU, and the relativistic average loss L_Ra.
"""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from gan_lightning.data.batches import PairedBatch
from gan_lightning.families import PairedTranslation, SuperResolution
from gan_lightning.losses import AdversarialLoss, NonSaturating, PerceptualLoss, VGG19Loss
from gan_lightning.networks import SRResNetGenerator, VGGDiscriminator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import OptimizerFactory, Terms
from gan_lightning.training.pretrained import load_part


class SRGAN(SuperResolution, PairedTranslation):
    """Super-resolution with texture: G's loss uses the features of VGG and D, not the pixels.

    Args:
        generator: G, which maps a source to an image `scale` times its size. None = SRResNet's for a scale of 4.
        discriminator: D, of images, returning logits. None = the paper's, for images of 96x96 in training.
        loss: the adversarial loss. None = non-saturating; ESRGAN's is `RelativisticAverage`.
        content: the perceptual loss. None = the paper's: mean squared differences of VGG19's relu5_4.
        lambda_content: weight of the perceptual loss; 0.006 is 12.75^-2. 0 turns it off, and its network is not needed.
        lambda_adversarial: weight of the adversarial loss on G's side.
        lambda_l1: weight of the mean absolute error in pixels, for values in [-1, 1]. 0 turns it off.
        pretrained: checkpoint of a run of `SRResNet` (or any other) with the same generator, whose weights G starts
            from (section 3.2: this keeps G out of poor optima): the averaged ones, if there are any. None = G starts
            from random weights.
        base: the arguments of `AdversarialModule`.

    `pretrained` is not recorded in checkpoints, which hold the trained weights.

    NOTE: D steps before G, as in the first GAN; ESRGAN's authors let G begin.
    NOTE: ESRGAN's authors halve both players' relativistic losses in their code; here, as in the paper, G's is a sum.
        Its L1 term has values in [0, 1]: its weight of 10^-2 corresponds to 5·10^-3 here.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-4)

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        content: PerceptualLoss | None = None,
        lambda_content: NonNegativeFloat = 0.006,
        lambda_adversarial: NonNegativeFloat = 1e-3,
        lambda_l1: NonNegativeFloat = 0.0,
        pretrained: Path | None = None,
        **base: Any,
    ) -> None:
        generator = generator or SRResNetGenerator()
        if pretrained is not None:
            load_part(generator, Path(pretrained))
            self.init_args["pretrained"] = None
        super().__init__(generator, discriminator or VGGDiscriminator(), **base)
        self.loss = loss or NonSaturating()
        self.content = content or VGG19Loss({"relu5_4": 1.0}, "mse")
        self.lambda_content = lambda_content
        self.lambda_adversarial = lambda_adversarial
        self.lambda_l1 = lambda_l1

    def on_fit_start(self) -> None:
        """Load the perceptual loss's network, so that a missing one is an error before the first step."""
        super().on_fit_start()
        if self.lambda_content:
            self.content.load()

    def generator_loss(self, batch: PairedBatch, fake: Tensor) -> Terms:
        """Match the features of I_HR in VGG, and let D take the image for real."""
        terms = {"adversarial": self.lambda_adversarial * super().generator_loss(batch, fake)["adversarial"]}
        if self.lambda_content:
            terms["content"] = self.lambda_content * self.content(fake, batch.target)
        if self.lambda_l1:
            terms["l1"] = self.lambda_l1 * l1_loss(fake, batch.target)
        return terms
