"""CartoonGAN: each term by its number, the initialisation, its end and a resume in it, and the learning rates."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.data.batches import CartoonBatch
from gan_lightning.losses import FeatureLoss, NonSaturating, RelativisticPairing, WeightedGenerator
from gan_lightning.models import CartoonGAN
from gan_lightning.networks import CartoonDiscriminator, CartoonGenerator
from gan_lightning.recording import Network
from gan_lightning.schedules import Delay, LinearToZero, PiecewiseLinear
from tiny import Batches, batch_for, data_for, images
from toys import equal, trainer


class Looked(Network):
    """A fixed network whose features are its images, times 2."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.twice.weight.copy_(2 * torch.eye(3)[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return self.twice(images)


def looked(distance: Any = "l1") -> FeatureLoss:
    return FeatureLoss(Looked(), {"twice": 1.0}, distance)


def cartoongan(**how: Any) -> CartoonGAN:
    networks = CartoonGenerator(3, 3, width=4, blocks=1), CartoonDiscriminator(3, width=4)
    return CartoonGAN(*networks, **{"content": looked(), "adversarial_schedule": Delay(0), **how})


def cartoongan_batch(count: int, seed: int) -> CartoonBatch:
    return CartoonBatch(images(count, 3, seed), -images(count, 3, seed + 1), images(count, 3, seed + 2) / 2)


class Add(Network):
    """A generator that adds a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(number))

    def forward(self, images: Tensor) -> Tensor:
        return images + self.number


class Scale(Network):
    """A discriminator whose map of logits is the first channel, times a number; it keeps its inputs' brightness."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.seen: list[float] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.append(round(float(images.mean()), 4))
        return self.factor * images[:, :1]


P, C, E, ADDED, D = 0.1, 0.4, -0.3, 0.2, 2.0  # photograph, cartoon, smoothed cartoon, G's addition, D's factor


def numbered(**how: Any) -> CartoonGAN:
    how = {"content": looked(), "adversarial_schedule": Delay(0), **how}
    return CartoonGAN(Add(ADDED), Scale(D), **how)


def constants() -> CartoonBatch:
    return CartoonBatch(*(torch.full((2, 3, 8, 8), brightness) for brightness in (P, C, E)))


def numbers(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


def test_the_losses_by_their_numbers() -> None:
    model = numbered().eval()
    fake = model.draw_fakes(constants())
    real = (D * C - 1) ** 2
    assert numbers(model.discriminator_loss(constants(), fake)) == pytest.approx(
        {"adversarial": real + (D * (P + ADDED)) ** 2, "smoothed": real + (D * E) ** 2}
    )
    assert numbers(model.generator_loss(constants(), fake)) == pytest.approx(
        {"adversarial": (D * (P + ADDED) - 1) ** 2, "content": 10 * 2 * ADDED}
    )


def test_each_image_counts_once_in_the_gradient_of_d() -> None:
    model = numbered().eval()
    torch.stack([*model.discriminator_loss(constants(), constants().real_a + ADDED).values()]).sum().backward()
    made = P + ADDED
    expected = 2 * C * (D * C - 1) + 2 * D * made**2 + 2 * D * E**2
    assert model.discriminator.factor.grad.item() == pytest.approx(expected, rel=1e-5)


def test_other_losses_compare_smoothed_cartoons_with_cartoons() -> None:
    terms = numbers(numbered(loss=NonSaturating()).eval().discriminator_loss(constants(), constants().real_a))
    soft = nn.Softplus()(torch.tensor([-D * C, D * P, D * E])).tolist()
    assert terms == pytest.approx({"adversarial": soft[0] + soft[1], "smoothed": soft[0] + soft[2]})
    terms = numbers(numbered(loss=RelativisticPairing()).eval().discriminator_loss(constants(), constants().real_a))
    assert terms["smoothed"] == pytest.approx(float(nn.Softplus()(torch.tensor(D * E - D * C))))


def test_the_content_is_that_of_the_photograph() -> None:
    model = numbered(lambda_content=3.0, content=looked("mse")).eval()
    assert float(model.content_terms(constants())["content"]) == pytest.approx(3 * (2 * ADDED) ** 2)
    shown, columns = model.preview(constants(), 2)
    assert columns == 4
    assert shown.mean(dim=(1, 2, 3)).tolist() == pytest.approx([P, P + ADDED, C, E] * 2)


def test_the_initialisation_trains_g_alone_and_from_content_alone() -> None:
    model = cartoongan(adversarial_schedule=Delay(2, "batch"))
    judge, maker = (
        {n: v.clone() for n, v in part.state_dict().items()} for part in (model.discriminator, model.generator)
    )
    seen: list[set[str]] = []
    finish = model.finish_step

    def noted(*args: Any, **how: Any) -> None:
        finish(*args, **how)
        seen.append({name for name in model.records if name.startswith("loss/")})
        if len(seen) == 2:
            assert equal(judge, dict(model.discriminator.state_dict()))
            assert not equal(maker, dict(model.generator.state_dict()))

    model.finish_step = noted  # type: ignore[method-assign]
    trainer(max_epochs=1).fit(model, data_for(model, batches=4))
    assert seen[:2] == [{"loss/generator", "loss/generator/content"}] * 2
    assert seen[2] == seen[0] | {
        "loss/generator/adversarial",
        "loss/discriminator",
        "loss/discriminator/adversarial",
        "loss/discriminator/smoothed",
    }
    assert model.counters.turns == {"discriminator": 2, "generator": 4}
    assert not equal(judge, dict(model.discriminator.state_dict()))
    assert model.trainer.global_step == 4


@pytest.mark.parametrize("unit", ["batch", "image", "epoch"])
def test_the_initialisation_ends_by_batches_images_or_epochs(unit: Any) -> None:
    model = cartoongan(adversarial_schedule=Delay({"batch": 3, "image": 12, "epoch": 1}[unit], unit))
    trainer(max_epochs=2).fit(model, data_for(model, batches=3))
    assert model.counters.turns == {"discriminator": 3, "generator": 6}


def test_the_schedule_is_a_factor_on_the_adversarial_term_of_g() -> None:
    model = numbered(adversarial_schedule=PiecewiseLinear({0: 0.25})).eval()
    whole = numbered().eval()
    fake = model.draw_fakes(constants())
    scaled, full = (numbers(each.generator_loss(constants(), fake)) for each in (model, whole))
    assert scaled == pytest.approx({"adversarial": full["adversarial"] / 4, "content": full["content"]})


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resume_in_the_initialisation_and_after_it_is_exact(stop: int, tmp_path: Path) -> None:
    how: dict[str, Any] = {"adversarial_schedule": Delay(2, "batch"), "ema_half_life": 8, "pool_size": 5}
    data = data_for(cartoongan(), batches=1)

    def run(epochs: int, **given: Any) -> CartoonGAN:
        torch.manual_seed(0)
        model = cartoongan(**how)
        fit = trainer(max_epochs=epochs)
        fit.fit(model, data, **given)
        if epochs == stop:
            fit.save_checkpoint(tmp_path / "stop.ckpt")
        return model

    whole = run(5)
    run(stop)
    again = run(5, ckpt_path=tmp_path / "stop.ckpt", weights_only=True)
    assert equal(dict(whole.state_dict()), dict(again.state_dict()))
    assert torch.equal(whole.pool.images, again.pool.images)
    assert whole.counters == again.counters


def test_parts_of_batches_give_the_same_initialisation() -> None:
    results = []
    for accumulate in (1, 2):
        torch.manual_seed(0)
        model = cartoongan(accumulate=accumulate, adversarial_schedule=Delay(9, "batch"))
        trainer(max_epochs=1).fit(model, data_for(model, batches=1))
        results.append(float(model.records["loss/generator/content"]))
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def test_ada_waits_for_the_game() -> None:
    model = cartoongan(augmentation=AdaptiveAugmentation(interval=1), adversarial_schedule=Delay(2, "batch"))
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    assert float(model.augmentation.p) == 0
    trainer(max_epochs=1).fit(model, data_for(model, batches=3))
    assert float(model.augmentation.signs) == 0


def test_d_learns_from_the_pool_and_g_from_new_fakes() -> None:
    torch.manual_seed(0)
    model = numbered(pool_size=2).train()
    model.pool.exchange(torch.full((2, 3, 8, 8), 0.77))
    seen = model.discriminator.seen
    for _ in range(4):
        model.discriminator_loss(constants(), model.draw_fakes(constants()))
    assert seen[0::3] == pytest.approx([C] * 4)
    assert seen[2::3] == pytest.approx([E] * 4)
    assert len({*seen[1::3]}) > 1
    seen.clear()
    model.generator_loss(constants(), model.draw_fakes(constants()))
    assert seen == pytest.approx([P + ADDED])


def test_without_weights_of_vgg_there_is_an_error_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GAN_LIGHTNING_VGG19", raising=False)
    model = cartoongan(content=None)
    with pytest.raises(FileNotFoundError, match="GAN_LIGHTNING_VGG19"):
        trainer(max_epochs=1).fit(model, data_for(model))
    assert model.batches_seen == 0
    assert model.translate(batch_for(model).real_a).shape == (4, 3, 16, 16)


def test_an_initialisation_that_never_ends_is_said_at_the_start() -> None:
    with pytest.warns(UserWarning, match="adversarial_schedule: begins after 5 epochs, and this run ends after 2"):
        trainer(max_epochs=2).fit(model := cartoongan(adversarial_schedule=Delay(5)), data_for(model))


def test_the_published_config_has_the_authors_rates() -> None:
    """Their code: niter epochs at the first rate, then 1/niter_decay less after each epoch from niter + 1 on."""
    config = Path(__file__).parents[2] / "configs" / "cartoongan" / "folder.yaml"
    settings = yaml.safe_load(config.read_text())["model"]["init_args"]
    start = settings["adversarial_schedule"]["init_args"]["start"]

    def theirs(epochs: int, decay: int, rate: float) -> list[float]:
        return [rate * (1 - max(0, epoch - epochs) / decay) for epoch in range(epochs + decay)]

    expected = [*theirs(10, 10, 2e-4), *theirs(100, 100, 1e-5)]
    schedule = PiecewiseLinear(**settings["generator_schedule"]["init_args"])
    rate = settings["generator_optimizer"]["init_args"]["lr"]
    assert [rate * schedule(epoch) for epoch in range(220)] == pytest.approx(expected)
    judge = LinearToZero(**settings["discriminator_schedule"]["init_args"]).over(220)
    rate = settings["discriminator_optimizer"]["init_args"]["lr"]
    assert [rate * judge(epoch) for epoch in range(start, 220)] == pytest.approx(expected[start:])


def test_a_weight_of_zero_leaves_content_alone() -> None:
    model = numbered(loss=WeightedGenerator(NonSaturating(), 0.0)).eval()
    assert numbers(model.generator_loss(constants(), constants().real_a))["adversarial"] == 0


def test_batches_of_one_train() -> None:
    model = cartoongan()
    trainer(max_epochs=1).fit(model, Batches([batch_for(model, count=1, seed=i) for i in range(3)]))
    assert model.images_seen == 3
