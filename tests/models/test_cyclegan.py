"""CycleGAN: every term by its number, the inputs of each network, the pools, the passes, the decay of its config."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.families import Exchanged
from gan_lightning.models import CycleGAN
from gan_lightning.networks import PatchGAN, ResNetGenerator, UNetGenerator
from gan_lightning.recording import Network
from gan_lightning.schedules import LinearToZero
from tiny import Batches, batch_for, data_for, images
from toys import equal, trainer


def cyclegan(**how: Any) -> CycleGAN:
    translators = [ResNetGenerator(3, 3, width=4, blocks=1) for _ in range(2)]
    judges = [PatchGAN(in_channels=3, width=4, receptive_field=16, norm="instance") for _ in range(2)]
    return CycleGAN(*translators, *judges, **how)


def cyclegan_batch(count: int, seed: int) -> UnpairedBatch:
    return UnpairedBatch(images(count, 3, seed), -images(count, 3, seed + 1))


class Add(Network):
    """A generator that adds a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(number))

    def forward(self, images: Tensor) -> Tensor:
        return images + self.number


class Scale(Network):
    """A discriminator whose map of logits is the first channel, times a number; it keeps its inputs."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.seen: list[float] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.append(round(float(images.mean()), 4))
        return self.factor * images[:, :1]


A, B = 0.1, 0.4  # the brightness of every pixel of each domain
TO_B, TO_A = 0.2, -0.05  # what the generators add
D_A, D_B = 2.0, 3.0


def numbered(**how: Any) -> CycleGAN:
    return CycleGAN(Add(TO_B), Add(TO_A), Scale(D_A), Scale(D_B), **how)


def constants() -> UnpairedBatch:
    return UnpairedBatch(torch.full((2, 3, 8, 8), A), torch.full((2, 3, 8, 8), B))


FAKE_B, FAKE_A = A + TO_B, B + TO_A
OLD = 0.77  # the brightness of fakes of before


def test_each_generator_sees_its_own_domain() -> None:
    model = numbered()
    fake = model.draw_fakes(constants())
    assert torch.all(fake.fake_b == constants().real_a + TO_B)
    assert torch.all(fake.fake_a == constants().real_b + TO_A)


def test_the_discriminators_losses_by_their_numbers() -> None:
    model = numbered().eval()
    terms = model.discriminator_loss(constants(), model.draw_fakes(constants()))
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {
            "a": 0.5 * ((D_A * A - 1) ** 2 + (D_A * FAKE_A) ** 2),
            "b": 0.5 * ((D_B * B - 1) ** 2 + (D_B * FAKE_B) ** 2),
        }
    )


@pytest.mark.parametrize(("lambda_cycle", "lambda_identity"), [(10.0, 0.5), (4.0, 0.25)])
def test_the_generators_losses_by_their_numbers(lambda_cycle: float, lambda_identity: float) -> None:
    given = {} if lambda_cycle == 10 else {"lambda_cycle": lambda_cycle, "lambda_identity": lambda_identity}
    model = numbered(**given).eval()
    terms = model.generator_loss(constants(), model.draw_fakes(constants()))
    there_and_back = abs(TO_B + TO_A)
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {
            "adversarial_a": (D_A * FAKE_A - 1) ** 2,  # not halved, where the discriminators' are
            "adversarial_b": (D_B * FAKE_B - 1) ** 2,
            "cycle_a": lambda_cycle * there_and_back,
            "cycle_b": lambda_cycle * there_and_back,
            "identity_a": lambda_cycle * lambda_identity * abs(TO_A),  # F(a) is to be a
            "identity_b": lambda_cycle * lambda_identity * abs(TO_B),
        }
    )


def test_the_cycle_ends_in_the_domain_where_it_began() -> None:
    class Shrink(Add):
        def forward(self, images: Tensor) -> Tensor:
            return images * 0.25 + self.number

    model = CycleGAN(Add(TO_B), Shrink(TO_A), Scale(D_A), Scale(D_B)).eval()
    terms = model.generator_loss(constants(), model.draw_fakes(constants()))
    assert float(terms["cycle_a"]) == pytest.approx(10 * abs((A + TO_B) / 4 + TO_A - A))
    assert float(terms["cycle_b"]) == pytest.approx(10 * abs(B / 4 + TO_A + TO_B - B))


def test_fakes_of_each_direction_reach_the_discriminator_of_their_domain() -> None:
    model = numbered()
    trainer(max_epochs=1).fit(model, Batches([constants()]))
    # real and fake in the discriminators' turn, fake in the generators', which have not moved in between
    assert model.discriminator["a"].seen == pytest.approx([A, FAKE_A, FAKE_A])
    assert model.discriminator["b"].seen == pytest.approx([B, FAKE_B, FAKE_B])


def test_translation_goes_in_the_given_direction() -> None:
    model = numbered()
    images = constants().real_a
    assert torch.all(model.translate(images) == images + TO_B)
    assert torch.all(model.translate(images, "a_to_b") == images + TO_B)
    assert torch.all(model.translate(images, "b_to_a") == images + TO_A)
    assert torch.all(model.generate(constants()) == constants().real_a + TO_B)
    assert torch.equal(model.reference(constants()), constants().real_b)


def test_a_preview_shows_both_cycles() -> None:
    shown, columns = numbered().preview(constants(), 2)
    row = [A, FAKE_B, FAKE_B + TO_A, B, FAKE_A, FAKE_A + TO_B]
    assert columns == 6
    assert shown.mean(dim=(1, 2, 3)).tolist() == pytest.approx(row * 2)


@pytest.mark.parametrize(
    ("settings", "passes"),
    [({}, 3), ({"lambda_identity": 0}, 2), ({"lambda_cycle": 0, "lambda_identity": 0}, 1)],
)
def test_terms_that_are_off_cost_no_pass(settings: dict[str, Any], passes: int) -> None:
    model = cyclegan(**settings)
    counts = {"a_to_b": 0, "b_to_a": 0}
    for name, network in model.generator.items():

        def count(module: nn.Module, *_: Any, name: str = name) -> None:
            counts[name] += module.training

        network.register_forward_hook(count)
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    assert counts == {"a_to_b": 2 * passes, "b_to_a": 2 * passes}


@pytest.mark.parametrize("turned_off", ["lambda_cycle", "lambda_identity"])
def test_a_term_that_is_off_is_not_there(turned_off: str) -> None:
    model = numbered(**{turned_off: 0}).eval()
    terms = model.generator_loss(constants(), model.draw_fakes(constants()))
    name = turned_off.removeprefix("lambda_")
    assert not [term for term in terms if term.startswith(name)]
    assert {"adversarial_a", "adversarial_b"} <= terms.keys()


def test_grey_can_become_colour_where_the_identity_term_is_off() -> None:
    generators = ResNetGenerator(1, 3, width=2, blocks=1), ResNetGenerator(3, 1, width=2, blocks=1)
    judges = [PatchGAN(in_channels=c, width=2, receptive_field=16, norm="instance") for c in (1, 3)]
    model = CycleGAN(*generators, *judges, lambda_identity=0)
    batch = UnpairedBatch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16))
    trainer(max_epochs=1).fit(model, Batches([batch]))
    shown, _ = model.preview(batch, 2)
    assert shown.shape == (12, 3, 16, 16)


def test_the_identity_term_between_grey_and_colour_is_refused_before_the_first_step() -> None:
    generators = ResNetGenerator(1, 3, width=2, blocks=1), ResNetGenerator(3, 1, width=2, blocks=1)
    judges = [PatchGAN(in_channels=c, width=2, receptive_field=16, norm="instance") for c in (1, 3)]
    model = CycleGAN(*generators, *judges)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="lambda_identity"):
        trainer(max_epochs=1).fit(model, Batches([UnpairedBatch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16))]))
    assert equal(before, dict(model.state_dict()))


# ------------------------------------------------------------------ the pools


def test_the_pools_hold_what_training_made_and_no_graph() -> None:
    model = cyclegan(pool_size=6)
    assert (model.pools["a"].size, cyclegan().pools["a"].size) == (6, 50)
    made: list[Exchanged] = []
    draw = model.draw_fakes

    def noted(batch: Any) -> Exchanged:
        fakes = draw(batch)
        if model.training:
            made.append(fakes)
        return fakes

    model.draw_fakes = noted  # type: ignore[method-assign]
    trainer(max_epochs=1).fit(model, data_for(model, batches=1, count=4))
    for domain, fakes in (("a", made[0].fake_a), ("b", made[0].fake_b)):
        held = model.pools[domain].images
        assert torch.equal(held, fakes.detach())
        assert not held.requires_grad
        assert held.data_ptr() != fakes.data_ptr()


def test_the_discriminators_learn_from_the_pool_and_the_generators_from_new_fakes() -> None:
    torch.manual_seed(0)
    model = numbered(pool_size=2).train()
    for pool in model.pools.values():
        pool.exchange(torch.full((2, 3, 8, 8), OLD))
    fakes = model.draw_fakes(constants())
    model.discriminator_loss(constants(), fakes)
    model.discriminator_loss(constants(), fakes)
    for domain, real, new in (("a", A, FAKE_A), ("b", B, FAKE_B)):
        seen = model.discriminator[domain].seen
        assert seen[0::2] == pytest.approx([real, real])
        shares = [(value - new) / (OLD - new) for value in seen[1::2]]  # of old fakes among the two shown
        assert all(share == pytest.approx(round(2 * share) / 2, abs=1e-3) for share in shares)
        assert 0 < sum(shares) < 2
        seen.clear()
    model.generator_loss(constants(), fakes)
    assert model.discriminator["a"].seen == pytest.approx([FAKE_A])
    assert model.discriminator["b"].seen == pytest.approx([FAKE_B])


def test_validation_and_the_check_leave_the_pools_alone() -> None:
    model = cyclegan()
    data = data_for(model)
    model.check_batch(data.batches[0])
    trainer().validate(model, data, verbose=False)
    trainer().predict(model, data)
    assert model.pools["a"].images is None
    trainer(max_epochs=1, num_sanity_val_steps=1).fit(model, data)
    held = {domain: pool.images.clone() for domain, pool in model.pools.items()}
    assert len(held["a"]) == 4  # of the one training batch
    trainer().validate(model, data, verbose=False)
    assert equal(held, {domain: pool.images for domain, pool in model.pools.items()})


def test_pools_are_filled_in_float32_and_bfloat16_alike() -> None:
    model = cyclegan(pool_size=5)
    trainer(max_epochs=3, precision="bf16-mixed").fit(model, data_for(model))
    assert len(model.pools["b"].images) == 5
    trainer(max_epochs=1).fit(model, data_for(model))
    assert len(model.pools["b"].images) == 5


# ------------------------------------------------------------------ the config


def test_the_config_decays_as_published() -> None:
    """The authors' rule, stepped after an epoch: 1 - max(0, epoch + 1 - 100) / 101, epochs counted from 0."""
    config = Path(__file__).parents[2] / "configs" / "cyclegan" / "horse2zebra.yaml"
    settings = yaml.safe_load(config.read_text())["model"]["init_args"]
    for player in ("generator", "discriminator"):
        schedule = LinearToZero(**settings[f"{player}_schedule"]["init_args"]).over(200)
        assert schedule.unit == "epoch"
        published = {0: 1.0, 98: 1.0, 99: 1.0, 100: 100 / 101, 150: 50 / 101, 199: 1 / 101}
        assert {epoch: schedule(epoch) for epoch in published} == pytest.approx(published)
    numbers = {"lambda_cycle": 10, "lambda_identity": 0.5, "pool_size": 50}
    assert {name: settings[name] for name in numbers} == numbers


def test_the_schedule_of_the_authors_newer_code_is_an_epoch_earlier() -> None:
    """Its train.py steps the schedule before an epoch: the rule's value of the epoch after, 0 in the last."""
    newer = LinearToZero(98, 199)
    assert [newer(epoch) for epoch in range(200)] == pytest.approx([1 - max(0, e + 2 - 100) / 101 for e in range(200)])
    assert [newer(epoch) for epoch in (98, 99, 198, 199)] == pytest.approx([1, 100 / 101, 1 / 101, 0])


def test_the_learning_rate_of_a_run_follows_the_schedule() -> None:
    schedule = LinearToZero(1, 3)
    model = cyclegan(generator_schedule=schedule, discriminator_schedule=schedule)
    rates: list[tuple[float, float]] = []
    finish = model.finish_step

    def noted(*args: Any, **how: Any) -> None:
        finish(*args, **how)
        rates.append(tuple(model.optimizer_of(p).param_groups[0]["lr"] for p in ("generator", "discriminator")))

    model.finish_step = noted  # type: ignore[method-assign]
    trainer(max_epochs=3).fit(model, data_for(model))
    assert rates == [pytest.approx((rate, rate)) for rate in (2e-4, 2e-4, 1e-4)]


def test_compile_reaches_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))  # noqa: PLW0108 (binds self)
    model = cyclegan(compile=True)
    trainer(max_epochs=1).fit(model, data_for(model))
    called = [*model.generator.values(), *model.discriminator.values()]
    assert all(any(network is one for one in compiled) for network in called)


def test_batches_of_one_train() -> None:
    model = cyclegan()
    trainer(max_epochs=1).fit(model, Batches([batch_for(model, count=1, seed=i) for i in range(2)]))
    assert model.images_seen == 2


def test_a_unet_with_instance_norm_is_a_generator_that_does_the_same_in_training_and_in_use() -> None:
    unet: dict[str, Any] = {"image_size": 16, "width": 4, "norm": "instance", "dropout": 0}
    judges = [PatchGAN(in_channels=3, width=4, receptive_field=16, norm="instance") for _ in range(2)]
    model = CycleGAN(UNetGenerator(**unet), UNetGenerator(**unet), *judges)
    batch = UnpairedBatch(*(torch.rand(2, 3, 16, 16) * 2 - 1 for _ in range(2)))
    trainer(max_epochs=1).fit(model, Batches([batch]))
    assert torch.equal(model.translate(batch.real_a), model.train().draw_fakes(batch).fake_b)
