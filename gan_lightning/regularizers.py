"""Terms that any model here can take beside its paper's own: `model.regularizers` in YAML, a list."""

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
    """What regularizers ask of a model: `gan_lightning.training.adversarial.AdversarialModule` has it."""

    discriminator: nn.Module
    batches_seen: int

    def players(self) -> Mapping[Any, Sequence[nn.Module]]:
        """The modules that each player learns."""
        ...

    def reference(self, batch: Any) -> Tensor:
        """The real images of a batch, (N, C, H, W)."""
        ...

    def fake_images(self, fake: Any) -> Tensor:
        """The images (N, C, H, W) among what was made for it."""
        ...

    def verdict(self, batch: Any, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """What the discriminator answers on real or fake images."""
        ...


class Regularizer(Recorded, nn.Module):
    """Terms that are added to the players' losses, under names of their own.

    A subclass overrides one of the two methods, or both. What it remembers from step to step goes into buffers, which
    are in the checkpoint.
    """

    def check(self, model: Game) -> None:
        """Called before training starts: raise an error with a sentence where the model is none that this fits."""

    def discriminator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Named terms for the discriminator's turn; what `model.discriminator_loss` is given."""
        return {}

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Named terms for the generator's turn; what `model.generator_loss` is given."""
        return {}


class FeatureMatching(Regularizer):
    """Feature matching for the generator: weight · ‖E f(x) - E f(G(z))‖².

    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016, arXiv
    1606.03498, section 3.1. f are the features that the discriminator has on request; means are over a batch, and of
    several scales or layers the terms are added up.

    It is added to the adversarial term. To put it in that term's place, as the paper does, give the model
    `loss: gan_lightning.losses.WeightedGenerator` with weight 0.

    Args:
        weight: factor on the term.

    Raises:
        TypeError: before the first step, where the model's discriminator has no features on request.
    """

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def check(self, model: Game) -> None:
        """The discriminator has features on request."""
        if "with_features" not in inspect.signature(model.discriminator.forward).parameters:
            raise TypeError(
                f"FeatureMatching compares features of the discriminator, and {type(model).__name__}'s "
                f"{type(model.discriminator).__name__} has none on request: take FeatureMatching out of "
                "model.regularizers, or choose a discriminator that is a head on features "
                "(gan_lightning.networks.discriminator.Discriminator)"
            )

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """`feature_matching`, of images seen through the model's augmentation."""
        asked = {"with_features": True, "with_logits": False}
        with torch.no_grad():
            real = model.verdict(batch, model.reference(batch), **asked).features
        made = model.verdict(batch, model.fake_images(fake), **asked).features
        pairs = zip(itertools.chain(*real), itertools.chain(*made), strict=True)
        terms = [feature_matching(one.flatten(1), other.flatten(1)) for one, other in pairs]
        return {"feature_matching": self.weight * torch.stack(terms).sum()}


class HistoricalAveraging(Regularizer):
    """Historical averaging, which pulls a player back to its past: weight · ‖θ - (1/t) sum_i θ_i‖².

    Salimans et al., 2016, arXiv 1606.03498, section 3.3. θ are all parameters of the player, θ_1 ... θ_t those that it
    has had on its turns since the start of the run, the present one among them; no gradient flows through their mean.
    For both players, list it twice.

    Args:
        player: whose parameters, "generator" or "discriminator".
        weight: factor on the term. The paper names none.
    """

    def __init__(self, player: Literal["generator", "discriminator"], weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.player = player
        self.weight = weight
        self.mean: Tensor
        self.turns: Tensor
        self.register_buffer("mean", torch.empty(0))  # one after the other; as many as there are, from the first turn
        self.register_buffer("turns", torch.zeros((), dtype=torch.int64))  # t
        self._last_batch = -1
        self.register_load_state_dict_pre_hook(_make_room)

    def discriminator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """The term, where the player is the discriminator."""
        return self._pull(model) if self.player == "discriminator" else {}

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """The term, where the player is the generator."""
        return self._pull(model) if self.player == "generator" else {}

    def _pull(self, model: Game) -> Terms:
        modules = model.players()[self.player]
        theta = torch.cat([p.flatten() for module in modules for p in module.parameters() if p.requires_grad])
        if model.batches_seen != self._last_batch:  # once a turn, however many parts a batch is cut into
            self._last_batch = model.batches_seen
            self._remember(theta.detach())
        return {"historical_averaging": self.weight * (theta - self.mean).square().sum()}

    def _remember(self, theta: Tensor) -> None:
        if not len(self.mean):
            self.mean = torch.zeros_like(theta)
        self.turns += 1
        self.mean += (theta - self.mean) / self.turns


def _make_room(averaging: HistoricalAveraging, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """For as many parameters as a checkpoint has."""
    saved = state_dict.get(f"{prefix}mean", averaging.mean)
    averaging.mean = averaging.mean.new_empty(saved.shape)
