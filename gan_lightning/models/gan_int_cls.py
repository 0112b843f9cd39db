"""GAN-INT-CLS: Generative Adversarial Text to Image Synthesis.

Reed, Akata, Yan, Logeswaran, Schiele, Lee, 2016. arXiv 1605.05396.

G makes images of captions' embeddings t = φ(caption). Two ideas join (section 4, algorithm 1):

- CLS: D is aware of matching. With s_r = D(x, t), s_w = D(x, t̂) for a wrong caption t̂ and s_f = D(G(z, t), t),

      L_D = -log s_r - ½ (log(1 - s_w) + log(1 - s_f))                            (algorithm 1, line 10)
      L_G = -log s_f

- INT: G also learns from embeddings between those of two captions, which belong to no image:

      E_{t1, t2}[log(1 - D(G(z, β t1 + (1 - β) t2)))]                                             (equation 5)
"""

from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import CaptionedBatch, batch_length
from gan_lightning.families import TextToImage
from gan_lightning.networks import GANINTCLSDiscriminator, GANINTCLSGenerator
from gan_lightning.ranges import NonNegativeFloat, Share
from gan_lightning.training.adversarial import Terms


class GANINTCLS(TextToImage):
    """Images of sentences, with a matching-aware discriminator (CLS) and interpolated embeddings (INT).

    Args:
        generator: G, called with latents and embeddings. None = the paper's for 64x64 RGB and embeddings of 1024.
        discriminator: D, called with images and embeddings. None = the paper's.
        lambda_interpolation: weight of equation 5 in G's loss. 0 turns INT off.
        beta: β, the share of the caption's own embedding in an interpolated one.
        base: the arguments of `TextToImage` and `AdversarialModule`; with matching: 0, CLS is off.

    NOTE: wrong captions come with the real image; the authors' code has wrong images with the caption instead.
    NOTE: the second caption of an interpolation is the wrong one, for each image of the batch, in a pass of its own;
        the code averages the two halves of the batch and appends these to the batch, which has the same weight of ½.
    NOTE: in equation 5, log(1 - D) is minimised; here, as in the code, G has its loss on other fakes (non-saturating).
    NOTE: the code averages the embeddings of four captions of an image; here each caption comes alone.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        lambda_interpolation: NonNegativeFloat = 0.5,
        beta: Share = 0.5,
        **base: Any,
    ) -> None:
        super().__init__(generator or GANINTCLSGenerator(), discriminator or GANINTCLSDiscriminator(), **base)
        self.lambda_interpolation, self.beta = lambda_interpolation, beta

    def generator_loss(self, batch: CaptionedBatch, fake: Tensor) -> Terms:
        """Return L_G, and equation 5."""
        terms = {"adversarial": self.fooled(batch, fake, self.given(batch))}
        if self.lambda_interpolation:
            assert batch.wrong is not None
            other = self.given(batch._replace(captions=batch.wrong))
            between = torch.lerp(other, self.given(batch), self.beta)
            made = self.generator(self.latents(batch_length(batch)), between)
            terms["interpolation"] = self.lambda_interpolation * self.fooled(batch, made, between)
        return terms

    def check_batch(self, batch: Any) -> None:
        """Check that there are captions to interpolate with."""
        self.check_kind(batch)
        if self.lambda_interpolation and batch.wrong is None:
            raise ValueError(
                f"{type(self).__name__} goes between captions and wrong captions, and the data serve none: use "
                "datamodules.CaptionedFolder, or set model.lambda_interpolation and model.matching to 0"
            )
        super().check_batch(batch)
