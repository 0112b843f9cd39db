"""Terms that any model can add to its paper's own: `model.regularizers` in YAML, a list."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import Batch, has_pairs
from gan_lightning.draws import fewer_images
from gan_lightning.losses.feature_matching import feature_matching, layer_matching
from gan_lightning.losses.penalties import r1, r2
from gan_lightning.losses.perceptual import PerceptualLoss
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.networks.packed import gives_features
from gan_lightning.private import uncompiled
from gan_lightning.ranges import NonNegativeFloat, PositiveInt, Share
from gan_lightning.recording import Recorded
from gan_lightning.schedules import Schedule

Terms = dict[str, Tensor]


class Contest(NamedTuple):
    """A discriminator's task in a batch: to distinguish fakes from real images. CycleGAN has one in each domain."""

    name: str  # of the domain, which ends the names of terms; empty if there is only one contest
    real: Tensor  # (N, C, H, W)
    fake: Any  # (N, C, H, W); None if no fakes were asked for
    verdict: Callable[..., DiscriminatorOutput]  # of images (N, C, H, W), and the further arguments of `discriminate`
    source: Tensor | None  # the images (N, C', H', W') that the fakes are made from, or None if it is noise
    pack: int = 1  # number of consecutive images that each verdict is for
    verdict_of_fakes: Callable[..., DiscriminatorOutput] | None = None  # where it differs, as it does for pairs
    weight: float = 1.0  # of its adversarial losses
    of_codes: bool = False  # (N, L), and not images: no augmentation changes them, and no network of images sees them

    def term(self, name: str) -> str:
        """Return the name of a term of this contest."""
        return f"{name}_{self.name}" if self.name else name

    @property
    def on_fakes(self) -> Callable[..., DiscriminatorOutput]:
        """The verdict of fakes."""
        return self.verdict_of_fakes or self.verdict

    def logits(self, images: Tensor) -> Tensor:
        """Return all logits of real images (N, C, H, W) in a row, for penalties on gradients."""
        return _in_a_row(self.verdict(images))

    def logits_of_fakes(self, images: Tensor) -> Tensor:
        """Return all logits of fakes (N, C, H, W) in a row, for penalties on gradients."""
        return _in_a_row(self.on_fakes(images))


def _in_a_row(verdict: DiscriminatorOutput) -> Tensor:
    return torch.cat([each.flatten() for each in verdict.logits])


class Game(Protocol):
    """The interface that regularizers need; `gan_lightning.training.adversarial.AdversarialModule` has it."""

    generator: nn.Module
    discriminator: nn.Module
    batch_type: ClassVar[type[Batch]]
    batches_seen: int

    def at(self, schedule: Schedule) -> float:
        """Return the present factor of a schedule."""
        ...

    def players(self) -> Mapping[Any, Sequence[nn.Module]]:
        """Return the modules that each player trains."""
        ...

    def reference(self, batch: Any) -> Tensor:
        """Return the real images of a batch, (N, C, H, W)."""
        ...

    def contests(self, batch: Any, fake: Any = None) -> Sequence[Contest]:
        """Return the task of each discriminator in a batch."""
        ...

    def draw_fakes(self, batch: Any) -> Any:
        """Make the fakes for a batch."""
        ...

    def draw_styles(self, batch: Any, count: int) -> Tensor:
        """Draw styles of as many items of a batch; called only if the generator has styles."""
        ...

    def mean_over_processes(self, tensor: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes, the same on each."""
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


class Matching(Regularizer, ABC):
    """A term for the generator that compares the discriminator's features of fakes with those of real images.

    Both are compared as they leave the model's augmentation.

    Args:
        weight: factor on the term.

    Raises:
        TypeError: before the first step, if the model's discriminator does not return features.
    """

    name: ClassVar[str]

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.weight = weight

    @abstractmethod
    def compare(self, real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
        """Return the term, a scalar, from features for each scale, layer by layer."""

    def check(self, model: Game) -> None:
        """Raise a TypeError unless each discriminator returns features on request."""
        judge = model.discriminator
        for discriminator in judge.values() if isinstance(judge, nn.ModuleDict) else [judge]:
            if not gives_features(discriminator):
                raise TypeError(
                    f"{type(self).__name__} compares features of the discriminator, and {type(model).__name__}'s "
                    f"{type(discriminator).__name__} has none on request: take {type(self).__name__} out of "
                    "model.regularizers, or choose a discriminator that is a head on features "
                    "(gan_lightning.networks.discriminator.Discriminator), or gan_lightning.networks.PatchGAN"
                )

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the term of each contest, times the weight."""
        asked = {"with_features": True, "with_logits": False}
        terms = {}
        for contest in model.contests(batch, fake):
            with torch.no_grad():
                real = contest.verdict(contest.real, **asked).features
            fakes = contest.on_fakes(contest.fake, **asked).features
            terms[contest.term(self.name)] = self.weight * self.compare(real, fakes)
        return terms


class FeatureMatching(Matching):
    """Feature matching for the generator: weight · ‖E f(x) - E f(G(z))‖².

    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016, arXiv
    1606.03498, section 3.1. f are the features that the discriminator returns on request. Means are over a batch. With
    several scales or layers, the terms are added up.

    The term is added to the adversarial term. To replace that term, as the paper does, give the model
    `loss: gan_lightning.losses.WeightedGenerator` with weight 0.
    """

    name = "feature_matching"

    def compare(self, real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
        """Return the sum of `feature_matching` over layers."""
        pairs = zip(itertools.chain(*real), itertools.chain(*fake), strict=True)
        terms = [feature_matching(one.flatten(1), other.flatten(1)) for one, other in pairs]
        return torch.stack(terms).sum()


class LayerMatching(Matching):
    """Feature matching of each image with its own fake: weight · E Σ_i 1/N_i ‖D_i(x) - D_i(G(s))‖₁.

    Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", 2017, arXiv
    1711.11585, equation 4, for models that learn from pairs; see `gan_lightning.losses.layer_matching`. D_i are the
    layers that the discriminator returns on request.

    Args:
        weight: factor on the term. The paper has 10.

    Raises:
        TypeError: before the first step, if the model's real images are not those that its fakes belong to.
    """

    name = "layer_matching"

    def __init__(self, weight: NonNegativeFloat = 10.0) -> None:
        super().__init__(weight)

    def check(self, model: Game) -> None:
        """Raise a TypeError unless the discriminators return features on request, and the model learns from pairs."""
        super().check(model)
        if not has_pairs(model.batch_type):
            raise TypeError(
                f"LayerMatching compares each fake with the real image that it should equal, and "
                f"{type(model).__name__} learns from a {model.batch_type.__name__}, without pairs: choose "
                "FeatureMatching, which compares means"
            )

    def compare(self, real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
        """Return `layer_matching`."""
        return layer_matching(real, fake)


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


class LazyRegularizer(Regularizer):
    """Terms that a player minimises in optimizer steps of their own, one after every `every`-th of its turns.

    This is lazy regularisation (Karras et al. 2019, arXiv 1912.04958, appendix B). The terms are multiplied by `every`,
    so that their strength does not depend on it. With c = every / (every + 1), the model multiplies the player's
    learning rate by c and raises the betas of its optimizer to the power of c, so that as many images have the effect
    of the optimizer's own settings.

    Args:
        player: the player whose parameters the terms are for.
        every: number of the player's turns from one such step to the next; the first turn has one.
    """

    def __init__(self, player: Literal["generator", "discriminator"], every: PositiveInt) -> None:
        super().__init__()
        self.player, self.every = player, every

    def terms(self, model: Game, batch: Any) -> Terms:
        """Return named terms, not yet multiplied by `every`."""
        raise NotImplementedError


class R1(LazyRegularizer):
    """The gradient penalty of real images: gamma / 2 · E ‖∇D(x)‖², with x before the model's augmentation.

    Mescheder, Geiger, Nowozin, 2018, arXiv 1801.04406, equation 9. In float32, uncompiled.

    Args:
        gamma: weight γ, for gradients with respect to images in [-1, 1], summed over pixels.
        every: number of the discriminator's turns from one penalty to the next.
    """

    def __init__(self, gamma: NonNegativeFloat = 10.0, every: PositiveInt = 16) -> None:
        super().__init__("discriminator", every)
        self.gamma = gamma

    def terms(self, model: Game, batch: Any) -> Terms:
        """Return the penalty of each contest."""
        return _penalties("r1", model, model.contests(batch), self.gamma)


class R2(LazyRegularizer):
    """The gradient penalty of fakes: gamma / 2 · E ‖∇D(G(z))‖², before the model's augmentation; new ones are drawn.

    Mescheder, Geiger, Nowozin, 2018, arXiv 1801.04406, equation 10. In float32, uncompiled.

    Args:
        gamma: weight γ, for gradients with respect to images in [-1, 1], summed over pixels.
        every: number of the discriminator's turns from one penalty to the next.
    """

    def __init__(self, gamma: NonNegativeFloat = 10.0, every: PositiveInt = 16) -> None:
        super().__init__("discriminator", every)
        self.gamma = gamma

    def terms(self, model: Game, batch: Any) -> Terms:
        """Return the penalty of each contest."""
        with torch.no_grad():
            fake = model.draw_fakes(batch)
        return _penalties("r2", model, model.contests(batch, fake), self.gamma)


class GradientPenalties(Regularizer):
    """R1 and R2 in each of the discriminator's turns, as parts of its loss: γ/2 (E ‖∇D(x)‖² + E ‖∇D(G(z))‖²).

    With the loss `gan_lightning.losses.RelativisticPairing`, they are the objective of R3GAN (Huang, Gokaslan,
    Kuleshov, Tompkin, 2025, arXiv 2501.05441). `Scheduled` lowers γ over the run, as the paper does. In float32,
    uncompiled; images before the model's augmentation.

    Args:
        gamma: weight γ, for gradients with respect to images in [-1, 1], summed over pixels and, for a map of logits,
            over logits. The paper has 0.05 for 32x32 pixels and 150 for 256x256 at the start, with one logit an image.
    """

    def __init__(self, gamma: NonNegativeFloat) -> None:
        super().__init__()
        self.gamma = gamma

    def discriminator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return both penalties of each contest."""
        contests = model.contests(batch, fake)
        return _penalties("r1", model, contests, self.gamma) | _penalties("r2", model, contests, self.gamma)


def _penalties(name: Literal["r1", "r2"], model: Game, contests: Sequence[Contest], gamma: float) -> Terms:
    """Return γ/2 times the penalty R1 (at real images) or R2 (at fakes) of each contest."""
    with uncompiled(model.discriminator):
        return {
            c.term(name): gamma
            / 2
            * (r1(c.logits, c.real, c.pack) if name == "r1" else r2(c.logits_of_fakes, c.fake, c.pack))
            for c in contests
        }


class Perceptual(Regularizer):
    """A perceptual loss of the fakes for the generator: weight · d(G(s), y), in the features of a fixed network.

    Args:
        loss: the distance, such as `gan_lightning.losses.VGG19Loss`. With its distance "gram" it compares styles.
        weight: factor on the term.
        target: y. "real" = the real images of the batch: for a model of pairs those that the fakes should equal, and
            for others unrelated ones, of which only the style makes sense. "source" = the images that the fakes are
            made from: the content stays.
        name: name of the term in the logs; give each its own if there are several.

    Raises:
        TypeError: before the first step, if the target is the source and the model makes images from noise.
        FileNotFoundError, ModuleNotFoundError: before the first step, if the network's weights are not there.
    """

    def __init__(
        self,
        loss: PerceptualLoss,
        weight: NonNegativeFloat = 1.0,
        target: Literal["real", "source"] = "real",
        name: str = "perceptual",
    ) -> None:
        super().__init__()
        if target not in ("real", "source"):
            raise ValueError(f'target must be "real" or "source", not {target!r}')
        self.loss, self.weight, self.target, self.name = loss, weight, target, name

    def check(self, model: Game) -> None:
        """Load the network."""
        self.loss.load()

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the term of each contest of images."""
        terms = {}
        for contest in model.contests(batch, fake):
            if contest.of_codes:
                continue
            target = contest.real if self.target == "real" else contest.source
            if target is None:
                raise TypeError(
                    f"{type(model).__name__} makes its images from noise, so that Perceptual has no source to compare "
                    'them with: set its target to "real"'
                )
            terms[contest.term(self.name)] = self.weight * self.loss(contest.fake, target)
        return terms


class PathLength(LazyRegularizer):
    """Path length regularisation of a generator with styles: weight · E (‖J_wᵀ y‖ - a)².

    Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, 2019, arXiv 1912.04958, equation 4. J_w is the Jacobian of the
    image by the styles w; y has independent normal pixels of standard deviation 1 / √(H W); a is the running mean of
    the norms. With a style for each layer, a norm is the root of the mean square over layers. In float32, uncompiled.

    NOTE: a is a constant for the gradient, as in the equation. In the authors' code 1 % of the gradient flows through
        its last update.

    Args:
        weight: factor on the term.
        every: number of the generator's turns from one penalty to the next.
        shrink: the penalty is taken on the batch's size divided by this.
        decay: share of the present norms in a.

    Raises:
        TypeError: before the first step, if the model's generator has no styles.
    """

    def __init__(
        self, weight: NonNegativeFloat = 2.0, every: PositiveInt = 4, shrink: PositiveInt = 2, decay: Share = 0.01
    ) -> None:
        super().__init__("generator", every)
        self.weight, self.shrink, self.decay = weight, shrink, decay
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(()))  # a

    def check(self, model: Game) -> None:
        """Raise a TypeError unless the generator has a mapping and a synthesis."""
        if not all(callable(getattr(model.generator, part, None)) for part in ("mapping", "synthesis")):
            raise TypeError(
                f"PathLength measures how images change with the styles of a generator, and {type(model).__name__}'s "
                f"{type(model.generator).__name__} has none (mapping and synthesis): take PathLength out of "
                "model.regularizers, or choose a generator with styles (gan_lightning.networks.StyleGAN2Generator)"
            )

    def terms(self, model: Game, batch: Any) -> Terms:
        """Return the penalty of new images; move a."""
        count = max(len(model.reference(batch)) // self.shrink, 1)
        lengths = self.lengths(model, batch, count)
        mean = model.mean_over_processes(lengths.mean())
        self.mean.lerp_(mean.to(self.mean.dtype), self.decay)
        return {"path_length": self.weight * (lengths - self.mean.clone()).square().mean()}

    def lengths(self, model: Game, batch: Any, count: int) -> Tensor:
        """Return the norms ‖J_wᵀ y‖ of `count` new images, float32 (count,), differentiable in the generator."""
        generator: Any = model.generator
        device = next(generator.parameters()).device
        with torch.autocast(device.type, enabled=False), uncompiled(generator), fewer_images(count):
            w = model.draw_styles(batch, count)
            w = w if w.requires_grad else w.detach().requires_grad_()
            images = generator.synthesis(w)
            y = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
            (gradient,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
        squares = gradient.square().sum(dim=-1)  # over the components of a style
        return (squares.mean(dim=1) if squares.dim() > 1 else squares).sqrt()


class OrthogonalRegularization(Regularizer):
    """Pull the filters of each layer towards being orthogonal, of any length: β · sum over layers ‖WWᵀ ⊙ (1 - I)‖².

    Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018, arXiv
    1809.11096, equation 3. W is a layer's weight as a matrix, outputs × others, before spectral norm divides it; the
    norm is Frobenius's. Embeddings are left out, as in the authors' code.

    NOTE: the gradient is that of the formula; the authors' code has half of it.

    Args:
        player: the player, "generator" (the paper) or "discriminator".
        weight: factor β on the term.
    """

    def __init__(
        self, player: Literal["generator", "discriminator"] = "generator", weight: NonNegativeFloat = 1e-4
    ) -> None:
        super().__init__()
        self.player = player
        self.weight = weight

    def discriminator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the term if the player is the discriminator."""
        return self._term(model) if self.player == "discriminator" else {}

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the term if the player is the generator."""
        return self._term(model) if self.player == "generator" else {}

    def _term(self, model: Game) -> Terms:
        modules = model.players()[self.player]
        embeddings = {
            p for module in modules for m in module.modules() if isinstance(m, nn.Embedding) for p in m.parameters()
        }
        learnt = dict.fromkeys(p for module in modules for p in module.parameters() if p.requires_grad)
        device = next(iter(learnt)).device
        with torch.autocast(device.type, enabled=False):
            terms = [_overlap(p.flatten(1)) for p in learnt if p.dim() >= 2 and p not in embeddings]
        return {"orthogonal": self.weight * torch.stack(terms).sum()}


def _overlap(matrix: Tensor) -> Tensor:
    """Return the sum of the squared products of different rows."""
    products = matrix @ matrix.T
    return (products - products.diagonal().diag()).square().sum()


class Scheduled(Regularizer):
    """The terms of another regularizer, times a factor that changes over time.

    Args:
        regularizer: the other.
        schedule: the factor, a pure function of the epochs, batches or images seen.
    """

    def __init__(self, regularizer: Regularizer, schedule: Schedule) -> None:
        super().__init__()
        self.regularizer = regularizer
        self.schedule = schedule

    def check(self, model: Game) -> None:
        """Check the other regularizer.

        Raises:
            TypeError: it takes optimizer steps of its own, where no factor is applied.
        """
        if isinstance(self.regularizer, LazyRegularizer):
            raise TypeError(
                f"Scheduled changes terms of a player's turn, and {type(self.regularizer).__name__} takes steps of its "
                "own between them: list it by itself in model.regularizers, or schedule GradientPenalties"
            )
        self.regularizer.check(model)

    def discriminator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the other's terms for the discriminator's turn, times the factor."""
        return self._scale(model, self.regularizer.discriminator(model, batch, fake))

    def generator(self, model: Game, batch: Any, fake: Any) -> Terms:
        """Return the other's terms for the generator's turn, times the factor."""
        return self._scale(model, self.regularizer.generator(model, batch, fake))

    def _scale(self, model: Game, terms: Terms) -> Terms:
        return {name: term * model.at(self.schedule) for name, term in terms.items()}


def _make_room(averaging: HistoricalAveraging, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Resize the mean to the number of parameters in the checkpoint."""
    saved = state_dict.get(f"{prefix}mean", averaging.mean)
    averaging.mean = averaging.mean.new_empty(saved.shape)
