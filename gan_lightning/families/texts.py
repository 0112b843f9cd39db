"""Models that make images of sentences."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import Batch, CaptionedBatch, batch_length
from gan_lightning.data.images import to_float, to_uint8
from gan_lightning.data.lettering import captioned
from gan_lightning.families.latents import NoiseToImage
from gan_lightning.inference import Prompts, TextSampler
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import Share
from gan_lightning.training.adversarial import Player, Terms


class TextToImage(NoiseToImage):
    """A generator G(z, t) of images from latents and embeddings of captions, against a matching-aware discriminator.

    D(x, t) tells real images with their captions from fakes with the captions that they were made of, and from real
    images with wrong captions:

        L_D = A_D(real with right, fake with right) (1 - w) + A_D(real with right, real with wrong) w

    where A_D is the adversarial loss of D. For the logistic one and w = ½, this is

        -log D(x, t) - ½ log(1 - D(x, t_wrong)) - ½ log(1 - D(G(z, t), t))

    Args:
        generator: G, called with latents and embeddings (N, text_dim), whose width it states.
        discriminator: D, called with images and embeddings.
        text_encoder: maps token ids int64 (N, T) to embeddings (N, text_dim). It learns in D's turn, and G gets its
            embeddings without gradient. None = the data serve embeddings.
        loss: the adversarial loss. None = non-saturating.
        matching: w, the share of real images with wrong captions among those that D rejects. 0 = D sees none, and the
            data need none.
        base: the other arguments of `AdversarialModule`.
    """

    batch_type: ClassVar[type[Batch]] = CaptionedBatch

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        text_encoder: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        matching: Share = 0.5,
        **base: Any,
    ) -> None:
        super().__init__(generator, discriminator, **base)
        self.text_encoder = text_encoder
        self.loss = loss or NonSaturating()
        self.matching = matching
        self.text_dim: int = getattr(generator, "text_dim", 0)
        if self.text_dim < 1:
            raise TypeError(
                f"{type(self).__name__} makes images of captions, and {type(generator).__name__} does not state the "
                "width of their embeddings: give it an int attribute text_dim, and forward(z, embeddings)"
            )
        for part in (discriminator, text_encoder):
            if getattr(part, "text_dim", self.text_dim) != self.text_dim:
                raise ValueError(
                    f"the generator takes embeddings of {self.text_dim} numbers, and {type(part).__name__} has "
                    f"{getattr(part, 'text_dim', None)}: set text_dim of all networks to the same"
                )

    # ------------------------------------------------------------------ the game

    def players(self) -> dict[Player, list[nn.Module]]:  # type: ignore[override]
        """Return the players; a text encoder that learns belongs to the discriminator."""
        judge = [self.discriminator] if self.text_encoder is None else [self.discriminator, self.text_encoder]
        return {"discriminator": judge, "generator": [self.generator]}

    def embed(self, codes: Tensor) -> Tensor:
        """Embed codes of captions, embeddings float (N, E) or token ids int64 (N, T), as float (N, text_dim)."""
        return codes if self.text_encoder is None else self.text_encoder(codes)

    def conditions_of(self, batch: CaptionedBatch) -> list[Tensor]:
        """Return the embeddings of the batch's captions."""
        return [self.embed(batch.captions)]

    def given(self, batch: CaptionedBatch) -> Tensor:
        """Return the embeddings of the batch's captions for G, without gradient."""
        with torch.no_grad():
            return self.embed(batch.captions)

    def draw_fakes(self, batch: CaptionedBatch) -> Any:
        """Make a fake of each caption."""
        return self.generator(self.latents(batch_length(batch)), self.given(batch))

    def discriminator_loss(self, batch: CaptionedBatch, fake: Any) -> Terms:
        """Return L_D in two terms."""
        real = self.verdict(batch, batch.images)
        adversarial = self.adversarial_loss(real, self.verdict(batch, self.fake_images(fake)))
        if not self.matching:
            return {"adversarial": adversarial}
        assert batch.wrong is not None
        wrong = self.discriminate(batch.images, self.embed(batch.wrong))
        pairs = zip(real.logits, wrong.logits, strict=True)
        mismatch = torch.stack([self.loss.discriminator(*logits) for logits in pairs]).mean()
        return {"adversarial": (1 - self.matching) * adversarial, "matching": self.matching * mismatch}

    def fooled(self, batch: CaptionedBatch, fake: Tensor, text: Tensor) -> Tensor:
        """Return the adversarial loss of G for fakes of these embeddings."""
        output: DiscriminatorOutput = self.discriminate(fake, text)
        return self.generator_adversarial_loss(output, lambda: self.verdict(batch, batch.images))

    # ------------------------------------------------------------------ images

    @property
    def sampler(self) -> TextSampler:
        """A sampler with the averaged weights, whose prompts are captions of the data that are not trained on."""
        prompts = None
        if self.text is not None:
            prompts = Prompts.of(self.text.coder, self.text.sentences, self.text.codes.to(self.device))
        encoder = getattr(self, "text_encoder", None)  # absent while the model is built
        return TextSampler(self.averaged_generator, self.prior, self.clamps, encoder, prompts)

    def generate(self, batch: CaptionedBatch) -> Tensor:
        """Make an image of each caption."""
        return self.sample(batch_length(batch), batch.captions)

    def variations(self, batch: CaptionedBatch, count: int) -> Tensor:
        """Make `count` images of each caption, from the same latents for all captions."""
        sampler, captions = self.sampler, batch.captions
        latents = sampler.latents(range(count), seed=0)
        made = [sampler.images(z.expand(len(captions), -1), captions, seed=0) for z in latents]
        return torch.stack(made, dim=1)

    def preview(self, batch: Any, count: int) -> tuple[Tensor, int]:
        """Return samples of captions that are not trained on, from fixed latents, with the captions below.

        If no sentences are known, they are of the batch's captions, and nothing is written.
        """
        if self.text is None:
            rows = torch.arange(count, device=batch.captions.device) % batch_length(batch)
            return self.render(self.sample(count, batch.captions[rows], seed=0)), round(count**0.5)
        shown = self.render(self.sample(count, seed=0))
        captions = [self.text.sentences[number % len(self.text.sentences)] for number in range(count)]
        return to_float(captioned(to_uint8(shown), captions)).to(shown.device), round(count**0.5)

    def check_batch(self, batch: Any) -> None:
        """Check that the batch's captions are of the kind, width and number that the networks take."""
        self.check_kind(batch)
        name, captions = type(self).__name__, batch.captions
        encoder: Any = self.text_encoder
        if self.matching and batch.wrong is None:
            raise ValueError(
                f"{name} learns from wrong captions too, and the data serve none: use datamodules.CaptionedFolder, or "
                "set model.matching to 0"
            )
        if captions.is_floating_point():
            if encoder is not None:
                raise ValueError(
                    f"the data serve {name} embeddings of captions, and its {type(encoder).__name__} takes token "
                    "ids: set model.text_encoder to null, or data.text to a Vocabulary"
                )
            if captions.shape[1] != self.text_dim:
                raise ValueError(
                    f"the data serve embeddings of {captions.shape[1]} numbers, and the networks of {name} take "
                    f"{self.text_dim}: set text_dim of both networks to {captions.shape[1]}"
                )
        elif encoder is None:
            raise ValueError(
                f"the data serve {name} token ids of captions, and it has no network that embeds them: set "
                "model.text_encoder to gan_lightning.networks.GRUTextEncoder, or data.text to a SentenceEncoder"
            )
        elif captions.min() < 0 or captions.max() >= getattr(encoder, "vocabulary", captions.max() + 1):
            raise ValueError(
                f"the data serve token ids from {captions.min()} to {captions.max()}, and the text encoder of {name} "
                f"knows 0 to {encoder.vocabulary - 1}: set vocabulary of model.text_encoder to data.text's size"
            )
        super().check_batch(batch)

    def check_data(self, data: Any) -> None:
        """Check that the text encoder knows all token ids of the data."""
        super().check_data(data)
        size = 0 if data.text is None else data.text.coder.vocabulary
        known = getattr(self.text_encoder, "vocabulary", size)
        if size and known != size:
            raise ValueError(
                f"the captions have token ids below {size}, and the text encoder of {type(self).__name__} knows "
                f"{known}: set vocabulary of model.text_encoder to {size}, or size of data.text to {known}"
            )
