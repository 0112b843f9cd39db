"""Table 3 of PacGAN: three digits as the channels of one image."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim import Adam

from benchmarks.batched import StackedDiscriminators, StackedGenerators, Streams, nonsaturating
from benchmarks.published import mnist
from benchmarks.published.run import Game, Losses
from gan_lightning.data.images import to_uint8
from gan_lightning.metrics import StackedDigitClassifier
from gan_lightning.networks import StackedDiscriminator, StackedGenerator
from gan_lightning.training.optimizers import fuse
from gan_lightning.training.unrolling import look_ahead


class Stacked(Game):
    """Table 3 of PacGAN: fresh triples, 500,000 steps on 128 packs, D's and G's steps on the same latents."""

    steps, every = 500_000, 25_000
    batch, evaluated = 128, 25_600

    def __init__(
        self,
        seeds: Sequence[int],
        width: int,
        pack: int = 1,
        unroll: int = 0,
        game: Losses = nonsaturating,
        norm: bool = True,
        penalty: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.pack, self.unroll, self.game, self.penalty = pack, unroll, game, penalty
        self.streams = Streams(seeds)
        networks: list[tuple[StackedGenerator, StackedDiscriminator]] = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                networks.append((StackedGenerator(), StackedDiscriminator(3 * pack, width, norm)))
        self.generators = StackedGenerators([one for one, _ in networks])
        self.discriminators = StackedDiscriminators([other for _, other in networks])
        self.digits = mnist.load("train")[0]  # (60000, 28, 28) uint8
        self.test = self.streams.normal(self.evaluated, 256)
        self.d_optimizer = Adam(self.discriminators.parameters(), lr=2e-4, betas=(0.5, 0.99))
        self.g_optimizer = Adam(self.generators.parameters(), lr=1e-4, betas=(0.5, 0.99))
        fuse(self.d_optimizer)
        fuse(self.g_optimizer)

    def advance(self) -> None:
        """Step D and then G, on the same latents; real packs and fakes pass D in batches of their own."""
        rows = self.streams.integers(len(self.digits), self.batch, 3 * self.pack)
        real = self.digits[rows].to(torch.get_default_dtype()) / 255 * 2 - 1  # (S, batch, 3 · pack, 28, 28)
        z = [self.streams.normal(self.batch, 256) for _ in range(self.pack)]
        made = torch.cat([self.generators(each) for each in z], dim=2)  # each pass has statistics of its own
        self.d_optimizer.zero_grad()
        self.d_loss(real, made.detach()).backward()
        self.d_optimizer.step()

        self.g_optimizer.zero_grad()
        if self.unroll:
            terms = look_ahead(
                [self.discriminators],
                self.d_optimizer,
                self.unroll,
                lambda: self.d_loss(real, made),
                lambda: {"g": -self.d_loss(real, made)},  # the saddle of Metz et al., equation 10
            )
            gradients = torch.autograd.grad(terms["g"], [*self.generators.parameters()])
        else:
            with torch.no_grad():
                judged = self.discriminators(real)
            _, g = self.game(judged, self.discriminators(made))
            gradients = torch.autograd.grad(g.sum(), [*self.generators.parameters()])
        for p, gradient in zip(self.generators.parameters(), gradients, strict=True):
            p.grad = gradient
        self.g_optimizer.step()

    def d_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Return the sum over seeds of D's loss."""
        d, _ = self.game(self.discriminators(real), self.discriminators(made))
        if self.penalty is not None:
            d = d + self.penalty(self.discriminators, real, made)
        return d.sum()

    @torch.no_grad()
    def measure(self) -> list[dict[str, float]]:
        """Classify samples of batches of 128, whose statistics batch norm uses, as the published evaluation does."""
        classifier = StackedDigitClassifier()
        counts = torch.zeros(len(self.test), 1000, dtype=torch.float64)
        for z in self.test.split(self.batch, dim=1):
            for seed, images in enumerate(self.generators(z)):
                logits = classifier(to_uint8(images)).logits
                assert logits is not None
                counts[seed] += logits.argmax(1).bincount(minlength=1000)
        shares = counts / counts.sum(1, keepdim=True)
        return [
            {"modes": float((share > 0).sum()), "kl": float(torch.xlogy(share, 1000 * share).sum())} for share in shares
        ]
