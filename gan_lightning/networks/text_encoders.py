"""Small text encoders that learn with a model: token ids of captions to embeddings.

Token ids are those of `gan_lightning.data.texts.Vocabulary`: 0 stands behind the end of a sentence.
"""

import torch
from torch import Tensor, nn

from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


class TextEncoder(Network):
    """Maps token ids int64 (N, T) to embeddings float (N, text_dim). A constructor sets both numbers."""

    vocabulary: int
    """Number of different token ids."""
    text_dim: int
    """Number of components of an embedding."""


class GRUTextEncoder(TextEncoder):
    """A gated recurrent unit over embedded tokens; the mean of its states over the sentence is mapped linearly.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, arXiv 1406.1078.

    Args:
        vocabulary: number of different token ids: the size of the data's Vocabulary.
        text_dim: components of an embedding.
        width: components of an embedded token, and of a state.
    """

    def __init__(self, vocabulary: PositiveInt = 2048, text_dim: PositiveInt = 128, width: PositiveInt = 128) -> None:
        super().__init__()
        self.vocabulary, self.text_dim = vocabulary, text_dim
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=0)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, text_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids int64 (N, T) to embeddings (N, text_dim)."""
        states, _ = self.recurrent(self.tokens(tokens))
        return self.out(_mean(states, tokens))


class TransformerTextEncoder(TextEncoder):
    """A transformer over embedded tokens and places; the mean of its outputs over the sentence is mapped linearly.

    Vaswani et al., "Attention Is All You Need", 2017, arXiv 1706.03762; norms come first, as in later ones.

    Args:
        vocabulary: number of different token ids: the size of the data's Vocabulary.
        text_dim: components of an embedding.
        width: components of an embedded token; a multiple of `heads`.
        length: number of tokens of a sentence, at most: the length of the data's Vocabulary.
        layers: number of layers.
        heads: number of heads of attention.
    """

    def __init__(
        self,
        vocabulary: PositiveInt = 2048,
        text_dim: PositiveInt = 128,
        width: PositiveInt = 128,
        length: PositiveInt = 16,
        layers: PositiveInt = 2,
        heads: PositiveInt = 4,
    ) -> None:
        super().__init__()
        self.vocabulary, self.text_dim = vocabulary, text_dim
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, text_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids int64 (N, T) to embeddings (N, text_dim)."""
        if tokens.shape[1] > len(self.places):
            raise ValueError(
                f"sentences of {tokens.shape[1]} tokens are longer than length={len(self.places)}: set both to the same"
            )
        padded = tokens == 0
        padded = padded & (torch.arange(tokens.shape[1], device=tokens.device) > 0)  # a sentence has a token at least
        x = self.layers(self.tokens(tokens) + self.places[: tokens.shape[1]], src_key_padding_mask=padded)
        return self.out(_mean(x, tokens))


def _mean(values: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean of values (N, T, D) over the tokens of each sentence; of no token, 0."""
    there = (tokens > 0).to(values.dtype)[:, :, None]
    return (values * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
