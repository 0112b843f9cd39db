"""Terms that any model can add to its paper's own: `model.regularizers` in YAML, a list."""

import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from gan_lightning.losses.feature_matching import feature_matching
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.recording import Recorded

Terms = dict[str, Tensor]


class Game(Protocol):
    """The interface that regularizers need; `gan_lightning.training.adversarial.AdversarialModule` has it."""

    discriminator: nn.Module
    batches_seen: int

    def players(self) -> Mapping[Any, Sequence[nn.Module]]:
        """Return the modules that each player trains."""
        ...

    def reference(self, batch: Any) -> Tensor:
        """Return the real images of a batch, (N, C, H, W)."""
        ...

    def fake_images(self, fake: Any) -> Tensor:
        """Return the images (N, C, H, W) among the outputs `fake`."""
        ...

    def verdict(self, batch: Any, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return the discriminator's output for real or fake images."""
        ...


class Regularizer(Recorded, nn.Module):
    """Terms that are added to the players' losses under their own names.

    A subclass overrides `discriminator`, `generator`, or both. State that it keeps between steps belongs into buffers,
    which are in the checkpoint.
    """

    def check(self, model: Game) -> None:
        """Raise an error if the regularizer does not fit the model. Called before training starts."""

    def discriminator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return named terms for the discriminator's turn, from the arguments of `model.discriminator_loss`."""
        return {}

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return named terms for the generator's turn, from the arguments of `model.generator_loss`."""
        return {}


class FeatureMatching(Regularizer):
    """Feature matching for the generator: weight · ‖E f(x) - E f(G(z))‖².

    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016, arXiv
    1606.03498, section 3.1. f are the features that the discriminator returns on request. Means are over a batch. With
    several scales or layers, the terms are added up.

    The term is added to the adversarial term. To replace that term, as the paper does, give the model
    `loss: gan_lightning.losses.WeightedGenerator` with weight 0.

    Args:
        weight: factor on the term.

    Raises:
        TypeError: before the first step, if the model's discriminator does not return features.
    """

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def check(self, model: Game) -> None:
        """Raise a TypeError unless the discriminator returns features on request."""
        if "with_features" not in inspect.signature(model.discriminator.forward).parameters:
            raise TypeError(
                f"FeatureMatching compares features of the discriminator, and {type(model).__name__}'s "
                f"{type(model.discriminator).__name__} has none on request: take FeatureMatching out of "
                "model.regularizers, or choose a discriminator that is a head on features "
                "(gan_lightning.networks.discriminator.Discriminator)"
            )

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return `feature_matching` of images as they leave the model's augmentation."""
        asked = {"with_features": True, "with_logits": False}
        with torch.no_grad():
            real = model.verdict(batch, model.reference(batch), **asked).features
        fakes = model.verdict(batch, model.fake_images(fake), **asked).features
        pairs = zip(itertools.chain(*real), itertools.chain(*fakes), strict=True)
        terms = [feature_matching(one.flatten(1), other.flatten(1)) for one, other in pairs]
        return {"feature_matching": self.weight * torch.stack(terms).sum()}


class HistoricalAveraging(Regularizer):
    """Historical averaging, which pulls a player towards the mean of its past: weight · ‖θ - (1/t) sum_i θ_i‖².

    Salimans et al., 2016, arXiv 1606.03498, section 3.3. θ are all parameters of the player. θ_1 ... θ_t are its
    parameters on its turns since the start of the run, the present one included; no gradient flows through their mean.
    For both players, list it twice.

    Args:
        player: the player, "generator" or "discriminator".
        weight: factor on the term. The paper gives none.
    """

    def __init__(self, player: Literal["generator", "discriminator"], weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.player = player
        self.weight = weight
        self.mean: Tensor
        self.turns: Tensor
        self.register_buffer("mean", torch.empty(0))  # of all parameters in a row; its length is set in the first turn
        self.register_buffer("turns", torch.zeros((), dtype=torch.int64))  # t
        self._last_batch = -1
        self.register_load_state_dict_pre_hook(_make_room)

    def discriminator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the term if the player is the discriminator."""
        return self._pull(model) if self.player == "discriminator" else {}

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the term if the player is the generator."""
        return self._pull(model) if self.player == "generator" else {}

    def _pull(self, model: Game) -> Terms:
        modules = model.players()[self.player]
        theta = torch.cat([p.flatten() for module in modules for p in module.parameters() if p.requires_grad])
        if model.batches_seen != self._last_batch:  # once a turn, for any number of parts of a batch
            self._last_batch = model.batches_seen
            self._remember(theta.detach())
        return {"historical_averaging": self.weight * (theta - self.mean).square().sum()}

    def _remember(self, theta: Tensor) -> None:
        if not len(self.mean):
            self.mean = torch.zeros_like(theta)
        self.turns += 1
        self.mean += (theta - self.mean) / self.turns


def _make_room(averaging: HistoricalAveraging, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Resize the mean to the number of parameters in the checkpoint."""
    saved = state_dict.get(f"{prefix}mean", averaging.mean)
    averaging.mean = averaging.mean.new_empty(saved.shape)
