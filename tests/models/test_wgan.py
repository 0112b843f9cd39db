"""WGAN: the box, the turns of the authors' loop, and the estimate."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.models import WGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from tiny import SMALL, data_for
from toys import trainer


def wgan(**how: Any) -> WGAN:
    """Return a model in a wide box and without head start, which trains in a few steps."""
    return WGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), clip=0.5, head_start=1, **how)


def as_published(n_critic: int, many: int) -> Iterator[bool]:
    """Yield for each batch whether the generator steps on it, as in the authors' loop."""
    generator_steps = 0
    while True:
        critic_steps = many if generator_steps < 25 or generator_steps % 500 == 0 else n_critic
        for step in range(critic_steps):
            yield step == critic_steps - 1
        generator_steps += 1


@pytest.mark.parametrize(("n_critic", "head_start"), [(5, 20), (5, 1), (1, 20), (3, 2), (1, 1)])
def test_the_turns_are_those_of_the_published_loop(n_critic: int, head_start: int) -> None:
    networks = DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL)
    model = WGAN(*networks, n_critic=n_critic, head_start=head_start)
    turns = []
    for model.counters.batches_seen in range(12_000):
        turns.append(model.is_generators_turn())
    assert turns == list(islice(as_published(n_critic, many=n_critic * head_start), 12_000))


def test_the_default_head_start_is_a_hundred_critic_steps_25_times_and_again_at_the_500th() -> None:
    model = WGAN()
    batches = []
    for model.counters.batches_seen in range(8_000):
        if model.is_generators_turn():
            batches.append(model.batches_seen + 1)
    steps = [after - before for before, after in zip([0, *batches], batches, strict=False)]
    assert steps[:25] == [100] * 25
    assert steps[25:500] == [5] * 475
    assert steps[500:502] == [100, 5]


def test_the_critic_is_in_its_box_when_the_generator_learns_and_touches_its_walls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = WGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), head_start=1)
    seen: list[tuple[float, float]] = []
    loss = model.generator_loss

    def noted(batch: Any, fake: Tensor) -> Any:
        values = torch.cat([p.detach().flatten() for p in model.discriminator.parameters()])
        seen.append((float(values.min()), float(values.max())))
        return loss(batch, fake)

    monkeypatch.setattr(model, "generator_loss", noted)
    assert max(float(p.detach().abs().max()) for p in model.discriminator.parameters()) > 0.9  # batch norm's gains
    free = {name: p.detach().clone() for name, p in model.generator.named_parameters()}
    trainer(max_epochs=1).fit(model, data_for(model, batches=10))
    assert seen == [(pytest.approx(-0.01), pytest.approx(0.01))] * 2
    assert max(float(p.detach().abs().max()) for p in model.generator.parameters()) > 0.9  # which nobody clips
    assert any(not torch.equal(free[name], p) for name, p in model.generator.named_parameters())


def test_the_estimate_is_logged_as_what_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = wgan()
    run = trainer(tmp_path, max_epochs=1, log_every_n_steps=1)
    run.fit(model, data_for(model, batches=5))
    logged = run.logged_metrics
    assert float(logged["wasserstein_estimate"]) == -float(logged["loss/discriminator/adversarial"])


def test_looking_at_the_first_batch_clips_nothing() -> None:
    model = WGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.check_batch(data_for(model).batches[0])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_fakes_are_drawn_anew_for_the_generator() -> None:
    model = wgan(n_critic=2)
    kept_graph: list[bool] = []
    model.generator.register_forward_hook(
        lambda m, _, out: kept_graph.append(out.requires_grad) if m.training else None
    )
    trainer(max_epochs=1).fit(model, data_for(model, batches=4))
    assert kept_graph == [False, False, True] * 2


@pytest.mark.parametrize("wrong", [{"clip": 0.0}, {"clip": -1.0}, {"head_start": 0}])
def test_settings_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"out of range: make it|clip must be above 0 and head_start count from 1"):
        WGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **wrong)
