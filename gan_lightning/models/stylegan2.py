"""StyleGAN2: Analyzing and Improving the Image Quality of StyleGAN.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, 2019. arXiv 1912.04958.

With styles w = f(z), images g(w), and the softplus ζ(t) = log(1 + e^t):

    L_D = E_z[ζ(D(g(w)))] + E_x[ζ(-D(x))]
    R_D = γ/2 E_x‖∇_x D(x)‖²                                       every 16th step of D (appendix B)
    L_G = E_z[ζ(-D(g(w)))]
    R_G = 2 E_{w,y}[(‖J_wᵀ y‖₂ - a)²]                              every 4th step of G (equation 4)

J_w = ∂g/∂w, y is an image of normal noise, and a the running mean of the norms. The networks have modulated and
demodulated convolutions in the place of StyleGAN's normalisation (equations 1 and 3), skip connections in G and
residual ones in D, and do not grow. With `AdaptiveAugmentation` it is StyleGAN2-ADA (Karras et al. 2020, arXiv
2006.06676), which also made it conditional on classes.
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import Adam

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import StyleGAN2Discriminator, StyleGAN2Generator
from gan_lightning.ranges import NonNegativeFloat, PositiveInt
from gan_lightning.regularizers import R1, PathLength, Regularizer
from gan_lightning.training.adversarial import OptimizerFactory


class StyleGAN2(NoiseToImage):
    """GAN with styles, lazy R1 and path length regularisation.

    Args:
        generator: G, a `gan_lightning.networks.styled.StyledGenerator`, which mixes styles. None = StyleGAN2's for
            256x256 RGB.
        discriminator: D. None = StyleGAN2's for 256x256 RGB.
        loss: the adversarial loss. None = non-saturating.
        gamma: weight γ of R1, for gradients with respect to images in [-1, 1], summed over pixels. None = 0.0002 ·
            height · width / batch size, as the authors' `auto` has it. 0 turns R1 off.
        r1_every: number of steps of D from one R1 step to the next.
        path_length: weight of path length regularisation, which takes half of a batch. 0 turns it off.
        path_length_every: number of steps of G from one such step to the next.
        ema_half_life: half-life, in images, of the moving average. None = 312.5 times the batch size (10,000 for 32),
            as `auto` has it. 0 = no average.
        regularizers: further terms, see `AdversarialModule`.
        base: the other arguments of `AdversarialModule`.

    The optimizers' learning rates and betas are those for one step a batch; since regularisation takes steps of its
    own, `gan_lightning.regularizers.LazyRegularizer` corrects them.

    NOTE: G's turn uses the fakes of D's turn, which the authors draw anew. D has its turn first; theirs is second.
    NOTE: fakes have the classes of the real batch; the authors draw theirs from the data independently.
    """

    clamps: ClassVar[bool] = True
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-3, betas=(0.0, 0.99))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        gamma: NonNegativeFloat | None = None,
        r1_every: PositiveInt = 16,
        path_length: NonNegativeFloat = 2.0,
        path_length_every: PositiveInt = 4,
        ema_half_life: NonNegativeFloat | None = None,
        regularizers: list[Regularizer] | None = None,
        **base: Any,
    ) -> None:
        own: list[Regularizer] = []
        if gamma != 0:
            own.append(R1(1.0 if gamma is None else gamma, r1_every))
        if path_length:
            own.append(PathLength(path_length, path_length_every))
        super().__init__(
            generator or StyleGAN2Generator(),
            discriminator or StyleGAN2Discriminator(),
            ema_half_life=10_000 if ema_half_life is None else ema_half_life,
            regularizers=[*own, *(regularizers or [])],
            **base,
        )
        self.loss = loss or NonSaturating()
        self.gamma, self.ema_half_life = gamma, ema_half_life

    def advised_batch_size(self, height: int, width: int, processes: int) -> int:
        """Return the batch size of the authors' `auto` for images of this size, over all processes."""
        return max(min(processes * max(min(4096 // max(height, width), 32), 1), 64), processes)

    def on_train_start(self) -> None:
        """Choose the settings that depend on the batch size, and say which they are."""
        super().on_train_start()
        network: Any = self.generator
        batch_size, chosen = getattr(self.trainer.train_dataloader, "batch_size", None), []
        if batch_size is None:
            return
        if getattr(getattr(self.trainer, "datamodule", None), "batch_size", batch_size) is None:
            chosen.append(f"data.batch_size {batch_size}")
        if self.gamma is None:
            _, height, width = network.image_shape
            r1 = next(each for each in self.lazy_regularizers("discriminator") if isinstance(each, R1))
            r1.gamma = 0.0002 * height * width / batch_size
            chosen.append(f"model.gamma {r1.gamma:.4g}")
        if self.ema_half_life is None and self.average is not None:
            self.average.half_life = 312.5 * batch_size
            chosen.append(f"model.ema_half_life {self.average.half_life:,.0f} images")
        if chosen:
            chosen.append(f"networks of {' · '.join(map(str, network.widths))} channels")
            size = "x".join(map(str, network.image_shape[1:]))
            self.say(f"StyleGAN2 chose for images of {size}: {', '.join(chosen)}")
