"""Images of sentences: a sampler whose numbered conditions are prompts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from gan_lightning.data.texts import TextCoder
from gan_lightning.inference.latents import Kind, LatentSampler
from gan_lightning.inference.modes import evaluating
from gan_lightning.inference.priors import Prior
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


class Prompts(Network):
    """Sentences with their codes, which a file of the model keeps: no encoder is needed to make images of them.

    Args:
        coder: codes further sentences.
        sentences: the sentences.
        width: numbers of a code: components of an embedding, or tokens.
    """

    codes: Tensor

    def __init__(self, coder: TextCoder, sentences: Sequence[str], width: PositiveInt) -> None:
        super().__init__()
        self.coder, self.sentences = coder, tuple(sentences)
        kind = torch.int64 if coder.vocabulary else torch.float32
        self.register_buffer("codes", torch.zeros(len(self.sentences), width, dtype=kind))

    @classmethod
    def of(cls, coder: TextCoder, sentences: Sequence[str], codes: Tensor) -> "Prompts":
        """Return the prompts with these codes, (N, ...)."""
        made = cls(coder, list(sentences), codes.shape[1])
        made.codes = codes.detach().to(made.codes.dtype)
        return made


class TextSampler(LatentSampler):
    """Makes images from latents and sentences: image k has prompt k modulo their number.

    The network is called with latents and embeddings of the sentences, (N, text_dim). Wherever a class is given by its
    number, here it is the number of a prompt, and its name is the sentence. A mixture of classes is one of embeddings.
    Instead of numbers, conditions may be codes: embeddings float (N, E), or token ids int64 (N, T).

    Args:
        network: the generator.
        prior: the distribution of latents. None = a standard normal.
        clamp: limit images to [-1, 1].
        text_encoder: maps codes to embeddings (N, text_dim). None = codes are embeddings.
        prompts: the sentences. None = none are known, and conditions are codes.
    """

    kind: Kind = "text"

    def __init__(
        self,
        network: nn.Module,
        prior: Prior | None = None,
        clamp: bool = False,
        text_encoder: nn.Module | None = None,
        prompts: Prompts | None = None,
    ) -> None:
        super().__init__(network, prior, clamp)
        self.text_encoder, self.prompts = text_encoder, prompts
        self.class_names = () if prompts is None else prompts.sentences
        self.num_classes = len(self.class_names)

    @property
    @override
    def parts(self) -> Mapping[str, nn.Module]:
        beside = {"text_encoder": self.text_encoder, "prompts": self.prompts}
        return {**super().parts} | {name: part for name, part in beside.items() if part is not None}

    @property
    @override
    def is_conditional(self) -> bool:
        return True

    def embed(self, codes: Tensor) -> Tensor:
        """Embed codes, embeddings float (N, E) or token ids int64 (N, T), as (N, text_dim), without gradient."""
        if self.text_encoder is None:
            return codes
        with torch.no_grad(), evaluating(self.text_encoder), torch.autocast(codes.device.type, enabled=False):
            return self.text_encoder(codes)

    @override
    def conditions(self, labels: Tensor | None) -> list[Tensor]:
        if labels is None:
            raise ValueError(
                "this model makes images of sentences, and knows none yet: give embeddings, or train it on a "
                "datamodules.CaptionedFolder"
            )
        if labels.dim() > 1:
            return [self.embed(labels)]
        assert self.prompts is not None
        # an embedding of the numbers, so that `ClassMixture` mixes sentences too
        return [F.embedding(labels, self.embed(self.prompts.codes))]

    @override
    def coded(self, labels: Tensor | None) -> Tensor | None:
        return None if labels is None or self.prompts is None else self.prompts.codes[labels]

    @override
    def with_texts(self, sentences: Sequence[str]) -> "TextSampler":
        if self.prompts is None:
            raise ValueError(
                "this model does not know how its captions were coded, since it was not trained on a "
                "datamodules.CaptionedFolder: give it embeddings from Python"
            )
        coder = self.prompts.coder
        coder.check(sentences)
        codes = coder(sentences).to(self.device)
        if codes.shape[1:] != self.prompts.codes.shape[1:]:
            raise ValueError(
                f"the sentence encoder gives {codes.shape[1]} numbers, and the model has learnt from "
                f"{self.prompts.codes.shape[1]}: give the encoder that it was trained with"
            )
        prompts = Prompts.of(coder, sentences, codes)
        return TextSampler(self.network, self.prior, self.clamp, self.text_encoder, prompts)
