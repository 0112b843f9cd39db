"""The talking head of one person, from few frames.

Zakharov, Shysheya, Burkov, Lempitsky, "Few-Shot Adversarial Learning of Realistic Neural Talking Head Models", 2019.
arXiv 1905.08233.

Fine-tuning (section 3.3) of a meta-learned `TalkingHeads` to a person whom it has not seen, by T frames x_t with
landmark pictures y_t. E is needed at the start only; the person's parameters, and vector in D, are then weights:

    ê = 1/T Σ_t E(x_t, y_t)                                                                       (equation 7)
    x̂ = G'(y, ψ'),   ψ' = P ê at the start
    D'(x, y) = V(x, y)ᵀ w' + b,   w' = w_0 + ê at the start                                       (equation 8)
    L'(G', ψ') = L_CNT + L_ADV                                                                    (equation 9)
    L'_DSC = max(0, 1 + D'(x̂, y)) + max(0, 1 - D'(x, y))                                          (equation 10)

w' can start at w_0 + ê, since L_MCH has drawn the vectors W of the meta-learning and those of E together.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import FramesBatch
from gan_lightning.families import DrivenHeads
from gan_lightning.inference import evaluating
from gan_lightning.networks import HeadDiscriminator, PersonalHeadGenerator
from gan_lightning.training import loops
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.weights import exported_weights


class PersonalTalkingHead(DrivenHeads):
    """Fine-tuning to one person; start it from a run of `TalkingHeads`, by `--start_from`.

    The examples of a batch must be the T frames to train on, the same for all items, as `datamodules.FramesByPerson`
    serves them for a `person`.

    Args:
        generator: G', with ψ'. None = the paper's, for 256x256 RGB.
        discriminator: D', without people: its head is w'. None = the paper's, for 256x256 RGB.
        base: the other arguments of `DrivenHeads` and `AdversarialModule`.
    """

    generator: Any
    discriminator: Any

    def __init__(self, generator: nn.Module | None = None, discriminator: nn.Module | None = None, **base: Any) -> None:
        super().__init__(generator or PersonalHeadGenerator(), discriminator or HeadDiscriminator(), **base)
        # G, E and P, until the person's frames are at hand; in a list, so that they are no part of this model
        self._meta_learned: list[Any] = []
        self._started = False

    def draw_fakes(self, batch: FramesBatch) -> Tensor:
        """Return frames of the person."""
        return self.generator(batch.landmarks)

    def generate(self, batch: FramesBatch) -> Tensor:
        """Return frames of the person, as a user gets them."""
        return self.translate(batch.landmarks)

    def load_weights(self, source: str | Path | Mapping[str, str | Path | Mapping[str, str | Path]]) -> None:
        """Start from the networks of a run of `TalkingHeads`, or of one of this model.

        The averaged generator of the other run is taken, if it kept an average. ψ' and w' get their values with the
        first batch.

        Args:
            source: a checkpoint.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is an export, which has no discriminator, or is of another model or other networks.
        """
        if isinstance(source, Mapping) or exported_weights(source) is not None:
            raise ValueError(
                f"{type(self).__name__} starts from all networks of a run of TalkingHeads, and {source} names parts or "
                "an export: give the run's checkpoint"
            )
        other: Any = GenerativeModule.load_from_checkpoint(source)
        if not isinstance(other, DrivenHeads):
            raise ValueError(f"{source} holds a {type(other).__name__}: start from a checkpoint of TalkingHeads")
        networks = {"generator": other.averaged_generator, "discriminator": other.discriminator}
        state = {f"{part}.{name}": value for part, net in networks.items() for name, value in net.state_dict().items()}
        if hasattr(other.averaged_generator, "embed"):
            self._meta_learned = [other.averaged_generator]
            state |= {name: value for name, value in self.state_dict().items() if name.startswith("generator.person")}
        self.begin_from(state, source)
        self._started = True

    def on_train_start(self) -> None:
        """Say so if the run starts from nothing."""
        super().on_train_start()
        if not self._started and not self.batches_seen:
            self.say("no person was learnt before: name a checkpoint of TalkingHeads by --start_from")

    def on_validation_batch_start(self, batch: FramesBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Begin with the person's frames, if this is the first batch."""
        super().on_validation_batch_start(batch, batch_idx, dataloader_idx)
        self._begin(batch)

    def on_train_batch_start(self, batch: FramesBatch, batch_idx: int) -> None:
        """Begin with the person's frames, if no evaluation came before."""
        super().on_train_batch_start(batch, batch_idx)
        if self._meta_learned:
            reference = loops.first_reference_batch(self.trainer)
            self._begin(batch if reference is None else reference)

    @torch.no_grad()
    def _begin(self, batch: FramesBatch) -> None:
        """Set ψ' and w' by the frames of the person, once."""
        if not self._meta_learned:
            return
        network = self._meta_learned.pop().to(self.device)
        with evaluating(network), torch.autocast(self.device.type, enabled=False):
            embedding = network.embed(batch.examples[:1], batch.example_landmarks[:1])  # equation 7
            parameters = network.projection(embedding)
        for generator in {self.generator, self.averaged_generator}:
            generator.person.weight.copy_(parameters)
        self.discriminator.head.weight.add_(embedding)  # equation 8
