"""Health of the game beyond its losses: measurements, their meaning, and advice."""

import math
from collections import defaultdict
from typing import Annotated, Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.optim import Optimizer

from gan_lightning import private
from gan_lightning.data.batches import first
from gan_lightning.data.images import to_uint8
from gan_lightning.losses import AdversarialLoss
from gan_lightning.metrics import FeatureExtractor
from gan_lightning.ranges import Checked, NonNegativeFloat, PositiveInt, Range
from gan_lightning.training.adversarial import PLAYERS, AdversarialModule, Player

Trouble = Literal["won", "still", "collapsed"]
TROUBLES: tuple[Trouble, ...] = ("won", "still", "collapsed")  # an earlier trouble explains a later one

THUMBNAIL = 16  # pixels: height and width at which images are compared without an extractor
GROWTH = 1.25  # diversity is rising if it exceeds its record by this factor
SAMPLED = 16  # number of weights of each parameter that are compared to detect movement

ADVICE: dict[Trouble, str] = {
    "won": "D has won: its loss no longer trains it, and its gradient no longer guides G. Try, under model.init_args: "
    "a lower lr in discriminator_optimizer or a higher one in generator_optimizer; n_critic: 1; a smaller "
    "discriminator (width) or a larger generator; a loss that does not saturate, with a gradient penalty (as in "
    "gan_lightning.models.WGANGP), or NonSaturating with real_label: 0.9; with few training images, an augmentation. "
    "If images were good before, go back to that checkpoint (checkpoints/best.ckpt).",
    "still": "Neither player is learning. A learning rate of 0 is the usual cause: see lr in model.init_args's "
    "generator_optimizer and discriminator_optimizer, and check whether a schedule has ended. If the rates are not 0, "
    "a network is dead: every unit of a ReLU is off, or a layer's output is constant, so that no gradient passes. Then "
    "start again with another seed (seed_everything), lower rates, or LeakyReLU in place of ReLU; under 16-mixed, "
    "which skips overflowing steps, set trainer.precision: auto or 32-true.",
    "collapsed": "G has collapsed: it makes nearly the same image for every input. It seldom recovers by itself: go "
    "back to a checkpoint from before (checkpoints/best.ckpt), or start again. Try, under model.init_args: a lower lr "
    "in generator_optimizer, or a stronger D (n_critic: 2, a higher lr in discriminator_optimizer); another loss "
    "(Hinge, LeastSquares), or gan_lightning.models.WGANGP; a larger data.init_args.batch_size. Check that G's latents "
    "reach its output. If the run has just begun and ema_half_life is long, the average may lag: see the pictures.",
}


class Health(Checked, L.Callback):
    """Log measurements that the losses of a GAN hide, and warn in plain words when the game has gone wrong.

    The losses of a GAN need not fall: each player's loss is measured by the other player, who is learning too. The
    measurements here, logged under `health/`, can be read by themselves. They are taken only in batches that are logged
    (`trainer.log_every_n_steps`) and are averaged over processes.

    - `real_accuracy`, `fake_accuracy`: the share of real images, and of fakes, that D classifies correctly. Normal:
      0.6 to 1. If one is near 0 while the other is near 1, in turn, D follows G.
    - `pairwise_accuracy`: how often D ranks a real image above a fake, over all pairs of the batch. Normal: 0.7 to 1.
      0.5 is guessing. A low value for long: D is too weak or too slow. It is the only accuracy for critics.
    - `doubt`: the size of the gradient of D's loss at D's logits. Normal: 0.05 to 1. It is 1 where D guesses (hinge:
      2). Near 0 for long: D has won. Wasserstein: always 2.
    - `logit_gap`: the mean logit of real images minus that of fakes. Normal: positive and bounded, up to about 8 (least
      squares: 1). A critic's gap has its own scale, and shrinks slowly as G learns.
    - `overfitting`: r_t, the mean sign of D's logits of real images. Normal: up to 0.6, the target of ADA. If it rises
      towards 1 throughout a run on few images, D has memorised them. It is also high where D is merely ahead.
    - `diversity`: the mean distance between two fakes, divided by that between two real images. Normal: from about 0 at
      the start up to 0.5 to 1.1. If it falls to 0 or stays there, G has collapsed.
    - `generator_gradient_norm`, `discriminator_gradient_norm`: L2 norm, before clipping. Normal: any size that stays
      within a factor of about ten. Always rising: training is about to diverge. 0: the player is not learning.

    Accuracies of 1 are no trouble by themselves: many good runs have them throughout, with a D that is right but never
    certain. Definitions:

    - The logits are those that D's loss is computed from: after the augmentation, of every patch, of both domains in
      CycleGAN. `doubt` is Σ|∂L_D/∂D(x)| + Σ|∂L_D/∂D(G(z))| over a batch. In the non-saturating game it is the mean of
      σ(-D(x)) plus the mean of σ(D(G(z))).
    - The accuracies and `overfitting` take a logit above 0 for "real"; with least squares, above the middle of its two
      labels. A loss without such a point (`AdversarialLoss.threshold`), such as Wasserstein's, has none of the three. A
      tie counts half in `pairwise_accuracy`.
    - `overfitting` is equation 1 of Karras et al. 2020 (arXiv 2006.06676).
    - `diversity` compares the images of `generate` (with averaged weights; in the evaluated direction) with the batch's
      `reference`, both as `render` shows them. Distances are Euclidean, between features, or between pixels shrunk to
      16x16. It detects a G that makes one image, but not one that makes ten: precision and recall do. It is undefined
      for batches of one image.
    - The gradient is that of the whole batch, over all processes. If G has no turn in a logged batch (`n_critic`), its
      norm is that of its last turn. A norm that overflowed in fp16 is not logged.

    A warning states the symptom, its meaning and what to try. It is given once an episode, when all measurements over
    at least `patience` batches agree that

    - D has won: `doubt` is below `won_below`. Least squares rarely reach this. A Wasserstein critic never does, since
      it is meant to be ahead.
    - Both stand still: for each player, the gradient norm, or the relative change of the weights between measurements,
      is below `still_below`.
    - G has collapsed: `diversity` is below `collapsed_below` and does not grow.

    If several hold, the first in this order is reported, since it causes the others. This callback does not change
    training. In a resumed run, the search for trouble begins again; the logged values go on as if it had not stopped.

    Args:
        extractor: computes features for `diversity`, such as `gan_lightning.metrics.DigitClassifier`. None = pixels.
        count: the largest number of images of a batch that `diversity` uses. Generating them is the main cost.
        patience: the number of batches that a trouble has to last before the warning.
        won_below: D has won where `doubt` is below this value.
        collapsed_below: G has collapsed where `diversity` is below this value and does not grow.
        still_below: a player stands still where its gradient norm or its relative change is below this value.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        count: Annotated[int, Range(2)] = 64,
        patience: PositiveInt = 500,
        won_below: NonNegativeFloat = 0.02,
        collapsed_below: NonNegativeFloat = 0.2,
        still_below: NonNegativeFloat = 1e-6,
    ) -> None:
        self.extractor = extractor
        self.count = count
        self.patience = patience
        self.won_below = won_below
        self.collapsed_below = collapsed_below
        self.still_below = still_below
        self._forget()

    def _forget(self) -> None:
        self._due = False  # whether this batch is going to be logged
        self._logits: list[tuple[Tensor, Tensor]] = []  # real and fake logits of each of D's losses in this batch
        self._norms: dict[Player, Tensor] = {}  # gradient norm in each player's last measured turn
        self._weights: dict[Player, Tensor] = {}  # some weights of each player, at the last logging step
        self._record = 0.0  # the highest diversity so far
        self._since: dict[Trouble, int] = {}  # the batch at which each trouble began
        self._warned: set[Trouble] = set()

    # ------------------------------------------------------------------ measuring

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Reset everything at the start of a training; a checkpoint may then restore the norms."""
        if stage == "fit":
            self._forget()

    def state_dict(self) -> dict[str, Any]:
        """Return the gradient norms of each player's last turn, which may be long before the next logged batch."""
        return {"gradient_norms": {player: float(norm) for player, norm in self._norms.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the gradient norms."""
        norms = state_dict.get("gradient_norms")
        given = {player: norms.get(player) for player in PLAYERS} if isinstance(norms, dict) else {}
        self._norms = {player: torch.tensor(norm) for player, norm in given.items() if isinstance(norm, float)}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Move the extractor to the model's device, and listen to the model's logits.

        Raises:
            TypeError: the model is not an AdversarialModule.
        """
        if not isinstance(pl_module, AdversarialModule):
            raise TypeError(
                f"Health measures the two players of an AdversarialModule, and {type(pl_module).__name__} is not one: "
                "remove it from trainer.callbacks"
            )
        pl_module.listeners.append(self._listen)
        if self.extractor is not None:
            self.extractor.to(pl_module.device)
        if _loss_of(pl_module) is None:
            rank_zero_info(
                f"Health reads a model's logits through its attribute `loss`, an AdversarialLoss, and "
                f"{type(pl_module).__name__} has none: only gradient norms and diversity are logged"
            )

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """In a batch that will be logged, listen to the logits that D's loss receives."""
        self._due = private.is_logging_due(trainer)

    def _listen(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        if self._due and real_logits.requires_grad:  # not where the first batch is only a trial
            self._logits.append((real_logits.detach().clone(), fake_logits.detach().clone()))

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Keep the gradient's norm, which is averaged over processes by now and not yet clipped."""
        assert isinstance(pl_module, AdversarialModule)
        if not self._due and (pl_module.playing == "discriminator" or pl_module.n_critic == 1):
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]).to(pl_module.device)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and private.unscales_in_step(optimizer):
            norm = norm / scaler.get_scale()  # a fused optimizer unscales inside its step
        self._norms[pl_module.playing] = norm

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """In a batch that is logged, log the measurements, and warn of a trouble that has lasted."""
        assert isinstance(pl_module, AdversarialModule)
        if not self._due:
            return
        seen = {f"{player}_gradient_norm": norm.to(pl_module.device) for player, norm in self._norms.items()}
        seen |= self._seen_in_logits(_loss_of(pl_module))
        seen["diversity"] = self._diversity(pl_module, batch)
        means = trainer.strategy.reduce(torch.stack([*seen.values()]), reduce_op="mean").tolist()
        known = {name: mean for name, mean in zip(seen, means, strict=True) if math.isfinite(mean)}
        pl_module.log_dict({f"health/{name}": value for name, value in known.items()})
        self._judge(pl_module, known)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop listening."""
        self._stop_listening(pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Stop listening."""
        self._stop_listening(pl_module)

    def _stop_listening(self, pl_module: L.LightningModule) -> None:
        if isinstance(pl_module, AdversarialModule) and self._listen in pl_module.listeners:
            pl_module.listeners.remove(self._listen)

    # ------------------------------------------------------------------ measurements

    def _seen_in_logits(self, loss: AdversarialLoss | None) -> dict[str, Tensor]:
        """Return statistics of this batch's logits, averaged over D's losses in it."""
        logits, self._logits = self._logits, []
        if loss is None or not logits:
            return {}
        seen = []
        for pair in logits:
            pulls = torch.autograd.grad(loss.discriminator(*(each.requires_grad_() for each in pair)), pair)
            real, fake = (each.detach().flatten() for each in pair)
            values = {
                "doubt": torch.stack([pull.abs().sum() for pull in pulls]).sum(),
                "logit_gap": real.mean() - fake.mean(),
                "pairwise_accuracy": _pairwise_accuracy(real, fake),
            }
            if loss.threshold is not None:
                values["real_accuracy"] = (real > loss.threshold).float().mean()
                values["fake_accuracy"] = (fake < loss.threshold).float().mean()
                values["overfitting"] = (real - loss.threshold).sign().mean()
            seen.append(values)
        return {name: torch.stack([values[name] for values in seen]).mean() for name in seen[0]}

    def _diversity(self, pl_module: AdversarialModule, batch: Any) -> Tensor:
        few = first(batch, self.count)
        with torch.random.fork_rng(devices=[pl_module.device] if pl_module.device.type == "cuda" else []):
            fake = pl_module.generate(few)
        shown = map(pl_module.render, (fake, pl_module.reference(few)))
        fakes, reals = (torch.pdist(self._features(images)).mean() for images in shown)
        return fakes / reals

    def _features(self, images: Tensor) -> Tensor:
        if self.extractor is None:
            return adaptive_avg_pool2d(images.float(), THUMBNAIL).flatten(1)
        return self.extractor(to_uint8(images)).pooled

    def _movements(self, pl_module: AdversarialModule) -> dict[Player, float]:
        """Return how far each player's weights moved since the last logging step, relative to their norm.

        Only the first `SAMPLED` weights of each parameter are compared.
        """
        before = self._weights
        self._weights = {
            player: torch.cat(
                [p.detach().flatten()[:SAMPLED] for module in modules for p in module.parameters() if p.requires_grad]
            )
            for player, modules in pl_module.players().items()
        }
        return {
            player: float((weights - before[player]).norm() / weights.norm())
            for player, weights in self._weights.items()
            if before
        }

    # ------------------------------------------------------------------ diagnosis

    def _judge(self, pl_module: AdversarialModule, known: dict[str, float]) -> None:
        """Warn of the first trouble that has lasted, unless the warning was given before."""
        movements = self._movements(pl_module)
        # an unknown value gives no warning: every comparison with NaN is false
        doubt, diversity = known.get("doubt", math.nan), known.get("diversity", math.nan)
        grows = diversity > GROWTH * self._record
        if grows:
            self._record = diversity
        present: dict[Trouble, bool] = {
            "won": doubt < self.won_below,
            "still": bool(movements)
            and all(
                min(movement, known.get(f"{player}_gradient_norm", math.inf)) < self.still_below
                for player, movement in movements.items()
            ),
            "collapsed": diversity < self.collapsed_below and not grows,
        }
        now = pl_module.batches_seen
        self._since = {trouble: self._since.get(trouble, now) for trouble in TROUBLES if present[trouble]}
        self._warned.intersection_update(self._since)
        lasting = next((trouble for trouble, since in self._since.items() if now - since >= self.patience), None)
        if lasting is not None and lasting not in self._warned:
            self._warned.add(lasting)
            sign = self._sign(lasting, pl_module, known, movements)
            rank_zero_warn(f"for {now - self._since[lasting]} batches {sign}. {ADVICE[lasting]}")

    @staticmethod
    def _sign(
        trouble: Trouble, pl_module: AdversarialModule, known: dict[str, float], movements: dict[Player, float]
    ) -> str:
        """Return the symptoms of a trouble, with their numbers."""
        seen = defaultdict(lambda: "unknown", {name: f"{value:.2g}" for name, value in known.items()})
        match trouble:
            case "won":
                return (
                    f"D has been sure of every image: doubt {seen['doubt']}, pairwise accuracy "
                    f"{seen['pairwise_accuracy']}, logits {seen['logit_gap']} apart, while the norm of G's gradient is "
                    f"{seen['generator_gradient_norm']} and diversity {seen['diversity']}"
                )
            case "still":
                players = [
                    f"the {player}'s weights moved by {movement:.1g} of their norm since the last look, at a "
                    f"gradient norm of {seen[f'{player}_gradient_norm']} and a learning rate of "
                    f"{pl_module.optimizer_of(player).param_groups[0]['lr']:.2g}"
                    for player, movement in movements.items()
                ]
                return f"both players have stood still: {'; '.join(players)}"
            case "collapsed":
                return (
                    f"G's images have been all but the same: they are {seen['diversity']} times as far apart as real "
                    f"ones, and no further than before; doubt {seen['doubt']}, norm of G's gradient "
                    f"{seen['generator_gradient_norm']}"
                )


def _loss_of(pl_module: L.LightningModule) -> AdversarialLoss | None:
    loss = getattr(pl_module, "loss", None)
    return loss if isinstance(loss, AdversarialLoss) else None


def _pairwise_accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """Return P(D(x) > D(G(z))) + P(D(x) = D(G(z))) / 2 over all pairs of logits (N,) and (M,): the area under ROC."""
    fake = fake.sort().values
    below = torch.searchsorted(fake, real) + torch.searchsorted(fake, real, right=True)
    return below.float().mean() / (2 * len(fake))
