"""Few-shot talking heads: Few-Shot Adversarial Learning of Realistic Neural Talking Head Models.

Zakharov, Shysheya, Burkov, Lempitsky, 2019. arXiv 1905.08233.

Meta-learning (section 3.2): from K frames x_k of person i with landmark pictures y_k, make another frame x from its y:

    ê_i = 1/K Σ_k E(x_k, y_k),   x̂ = G(y, ψ̂_i),   ψ̂_i = P ê_i                                     (equations 1 and 2)
    L(E, G, P) = L_CNT + L_ADV + L_MCH
    L_CNT = 0.15 Σ_l |φ_l(x) - φ_l(x̂)| over VGG19 + 0.025 Σ_l |φ_l(x) - φ_l(x̂)| over VGG-Face     (equation 3)
    L_ADV = -D(x̂, y, i) + 10 Σ_l |D_l(x, y) - D_l(x̂, y)|                                          (equation 4)
    D(x, y, i) = V(x, y)ᵀ (W_i + w_0) + b                                                         (equation 5)
    L_MCH = 10 |ê_i - W_i|
    L_DSC = max(0, 1 + D(x̂, y, i)) + max(0, 1 - D(x, y, i))                                       (equation 6)

`PersonalTalkingHead` then learns one new person from few frames.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import FramesBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.families import DrivenHeads
from gan_lightning.inference import StyleTranslator, Translator
from gan_lightning.networks import HeadDiscriminator, TalkingHeadGenerator
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import Player, Terms


class Fakes(NamedTuple):
    """The frames that G makes for a batch, and the people that E sees."""

    frames: Tensor  # x̂, (N, C, H, W)
    embeddings: Tensor  # ê_i, (N, E)


class TalkingHeads(DrivenHeads):
    """Meta-learning on many people, of each of whom there are several frames with landmarks.

    Args:
        generator: G, E and P. None = the paper's, for 256x256 RGB.
        discriminator: D, whose `num_classes` is the number of people; its `embedding` is W. None = the paper's, for
            256x256 RGB and a person.
        lambda_matching: weight of L_MCH. 0 turns it off.
        base: the other arguments of `DrivenHeads` and `AdversarialModule`.

    NOTE: both steps of D before one of G have batches of their own; all frames of a batch are new for each step.
    NOTE: L_MCH draws ê_i to W_i, and W learns by D's loss alone, since each player's weights stand still in the other's
        turn. It is a mean over components; the paper has the norm, with the same weight as the authors of the port
        read it.
    NOTE: differences of features are means over all values of a layer.
    NOTE: Adam's momentum is not lost for W: all vectors are in memory at once.
    """

    generator: Any
    discriminator: Any

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        lambda_matching: NonNegativeFloat = 10.0,
        **base: Any,
    ) -> None:
        super().__init__(generator or TalkingHeadGenerator(), discriminator or HeadDiscriminator(num_classes=1), **base)
        self.lambda_matching = lambda_matching
        length, width = self.generator.embedding_dim, self.discriminator.num_features
        if length != width:
            raise ValueError(
                f"the vectors of the embedder have {length} components, and those of the discriminator {width}: give "
                "both networks the same max_width and image_size"
            )

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players, with E separately: it is called, and compiled, by itself."""
        return {"discriminator": [self.discriminator], "generator": [self.generator, self.generator.embedder]}

    @property
    def translator(self) -> Translator:
        """A translator of landmark pictures to frames of the person in the examples."""
        return StyleTranslator(self.averaged_generator)

    def check_data(self, data: DataDescription) -> None:
        """Check that D has a vector W_i for each person of the data."""
        people = self.discriminator.num_classes
        if data.num_classes is not None and people != data.num_classes:
            raise ValueError(
                f"the discriminator has vectors of {people} people, and the data have {data.num_classes} to train on: "
                f"set model.discriminator.num_classes to {data.num_classes}"
            )

    def people(self, batch: FramesBatch) -> tuple[Tensor, ...]:
        """Return the numbers of the people in the batch, int64 (N,)."""
        return (batch.people,)

    def draw_fakes(self, batch: FramesBatch) -> Fakes:
        """Return the frames, each of the person in its examples."""
        embeddings = self.generator.embed(batch.examples, batch.example_landmarks)
        return Fakes(self.generator(batch.landmarks, embeddings), embeddings)

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return the frames."""
        return fake.frames

    def generator_loss(self, batch: FramesBatch, fake: Fakes) -> Terms:
        """Add L_MCH: the vector that E sees should be that of the person in D, if the person has one."""
        terms = super().generator_loss(batch, fake)
        if self.lambda_matching:
            own = self.discriminator.embedding.weight.detach()[batch.people.clamp(min=0)]
            apart = (fake.embeddings.float() - own).abs().mean(dim=1)
            terms["matching"] = self.lambda_matching * (apart * (batch.people >= 0)).mean()
        return terms

    @torch.no_grad()
    def generate(self, batch: FramesBatch) -> Tensor:
        """Return the frames, each of the person in its examples, as a user gets them."""
        translator = self.translator
        network: Any = translator.network()
        with translator.running(network, batch.target.device):
            embeddings = network.embed(batch.examples, batch.example_landmarks)
        return translator.apply(batch.landmarks, embeddings)
