"""StackGAN: Text to Photo-realistic Image Synthesis with Stacked Generative Adversarial Networks.

Zhang, Xu, Li, Zhang, Wang, Huang, Metaxas, 2016. arXiv 1612.03242.

Stage I makes small images I_0 of captions' embeddings t; stage II makes large ones of them and of t, and corrects them.
Both have conditioning augmentation: G sees ĉ ~ N(μ(t), Σ(t)) instead of t, and these distributions stay near N(0, I):

    L_D0 = E[log D_0(I_0, t)] + E[log(1 - D_0(G_0(z, ĉ_0), t))]                                     (equation 3)
    L_G0 = E[log(1 - D_0(G_0(z, ĉ_0), t))] + λ KL(N(μ_0(t), Σ_0(t)) || N(0, I))                     (equation 4)

and the same in stage II, with the images of a stage I that does not learn in place of z (equations 5 and 6). Both
discriminators are matching-aware, as in GAN-INT-CLS: they also reject real images with wrong captions (section 3.3).
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gan_lightning.data.batches import CaptionedBatch, batch_length
from gan_lightning.families import TextToImage
from gan_lightning.networks import StackGANDiscriminator, StackGANStageOne
from gan_lightning.networks.stackgan import Conditioned
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import Terms
from gan_lightning.training.pretrained import load_part


class StackGAN(TextToImage):
    """Images of sentences in two stages, each a run of its own.

    Args:
        generator: G, called with latents and embeddings, with a `conditioning`, whose distributions it returns on
            request: `StackGANStageOne`, or `StackGANStageTwo`, which holds a stage I. None = stage I of 64x64 RGB.
        discriminator: D, called with images and embeddings. None = the paper's of stage I.
        lambda_kl: λ, the weight of the KL divergence, a mean over the components of ĉ.
        pretrained: checkpoint of a run of stage I, or its export, for stage II: its generator (the averaged one, if
            there is one) becomes stage I, and its text encoder, if it has one that learns, becomes this model's, and
            does not learn on. None = stage I has random weights, or those of this model's own checkpoint.
        base: the arguments of `TextToImage` and `AdversarialModule`.

    `pretrained` is not recorded in checkpoints, which hold the weights of both stages.

    NOTE: the paper has λ = 1; the code 2, of a KL divergence that is averaged over components, not added up, as here.
    NOTE: both players minimise logistic losses (G the non-saturating one), as in the code.
    NOTE: wrong captions come with the real image; the code has wrong images with the caption instead.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        lambda_kl: NonNegativeFloat = 2.0,
        pretrained: Path | None = None,
        **base: Any,
    ) -> None:
        generator = generator or StackGANStageOne()
        name = type(generator).__name__
        if not hasattr(generator, "conditioning"):
            raise TypeError(
                f"StackGAN's generator has a conditioning augmentation, and {name} has no `conditioning`: choose "
                "StackGANStageOne or StackGANStageTwo"
            )
        if pretrained is not None:
            stage_one = getattr(generator, "stage_one", None)
            if stage_one is None:
                raise ValueError(
                    f"pretrained is a stage I for stage II, and {name} holds none: leave it out, or set the generator "
                    "to StackGANStageTwo"
                )
            load_part(stage_one, Path(pretrained))
            if base.get("text_encoder") is not None:
                load_part(base["text_encoder"], Path(pretrained), "text_encoder")
                base["text_encoder"].requires_grad_(False)
            generator.trained.fill_(1)  # type: ignore[operator]
            self.init_args["pretrained"] = None
        super().__init__(generator, discriminator or StackGANDiscriminator(), **base)
        self.lambda_kl = lambda_kl

    def draw_fakes(self, batch: CaptionedBatch) -> Any:
        """Make a fake of each caption, with the distribution of its ĉ."""
        return self.generator(self.latents(batch_length(batch)), self.given(batch), with_distribution=True)

    def fake_images(self, fake: Conditioned) -> Tensor:
        """Return the images."""
        return fake.images

    def generator_loss(self, batch: CaptionedBatch, fake: Conditioned) -> Terms:
        """Return the adversarial loss and λ KL."""
        mean, log_std = fake.mean.float(), fake.log_std.float()
        divergence = 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std
        adversarial = self.fooled(batch, fake.images, self.given(batch))
        return {"adversarial": adversarial, "kl": self.lambda_kl * divergence.mean()}

    def on_fit_start(self) -> None:
        """Say if stage II would learn on a stage I that has learnt nothing."""
        super().on_fit_start()
        if not int(getattr(self.generator, "trained", 1)):
            self.say("stage I of this StackGAN has random weights: name the run that trained it as model.pretrained")
