"""Feature matching and historical averaging by hand, beside any model, and across a resume."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from every_model import BUILDERS
from gan_lightning.data.batches import ImageBatch, PairedBatch, UnpairedBatch
from gan_lightning.families import Exchanged
from gan_lightning.losses import FeatureLoss, NonSaturating, VGG19Loss, WeightedGenerator, layer_matching
from gan_lightning.models import CGAN, DCGAN, SSGAN, CycleGAN, Pix2Pix
from gan_lightning.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MultiScale,
    PatchGAN,
    ResNetGenerator,
    SNDCGANDiscriminator,
    UNetGenerator,
)
from gan_lightning.recording import Network
from gan_lightning.regularizers import (
    R1,
    R2,
    FeatureMatching,
    GradientPenalties,
    HistoricalAveraging,
    LayerMatching,
    LazyRegularizer,
    OrthogonalRegularization,
    PathLength,
    Perceptual,
    Scheduled,
    Terms,
)
from gan_lightning.schedules import Cosine, LinearToZero
from gan_lightning.training.adversarial import AdversarialModule
from models.test_cut import cut
from models.test_cyclegan import cyclegan
from tiny import data_for
from toys import StyledGenerator, ToyData, ToyGAN, equal, trainer, weights

SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}


class Judge(Network):
    """A discriminator that returns no features: a logit for each image, linear in it."""

    def __init__(self, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images.sum(dim=(1, 2, 3))


def dcgan(**how: Any) -> DCGAN:
    return DCGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def cgan(**how: Any) -> CGAN:
    conditional = {**SMALL, "num_classes": 3}
    return CGAN(DCGANGenerator(6, **conditional), DCGANDiscriminator(**conditional), **how)


def pix2pix(**how: Any) -> Pix2Pix:
    return Pix2Pix(UNetGenerator(1, 1, image_size=16, width=4), PatchGAN(2, width=4, receptive_field=16), **how)


def batch_for(model: AdversarialModule, seed: int = 0) -> Any:
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    if isinstance(model, Pix2Pix):
        return PairedBatch(images, -images)
    return ImageBatch(images, torch.tensor([0, 1, 2, 0]) if isinstance(model, CGAN) else None)


def fit(model: AdversarialModule, batches: int = 1, folder: Path | None = None, epochs: int = 1, **how: Any) -> Any:
    run = trainer(folder, max_epochs=epochs)
    data = [batch_for(model, seed) for seed in range(batches)]
    run.fit(model, DataLoader(data, batch_size=None, generator=torch.Generator()), **how)
    return run


@pytest.mark.parametrize("build", [dcgan, cgan])
def test_feature_matching_looks_into_the_discriminator(build: Any) -> None:
    torch.manual_seed(0)
    model = build().eval()
    batch = batch_for(model)
    labels = [] if batch.labels is None else [batch.labels]
    fake = model.draw_fakes(batch)
    real_mean, fake_mean = (model.discriminator.features(x, *labels).mean(0) for x in (batch.images, fake))
    (term,) = FeatureMatching(weight=3.0).generator(model, batch, fake).values()
    torch.testing.assert_close(term, 3 * (real_mean - fake_mean).square().sum())
    term.backward()
    assert all(p.grad is not None for p in model.generator.parameters())
    assert FeatureMatching().discriminator(model, batch, fake) == {}


def test_feature_matching_sees_through_the_augmentation() -> None:
    class Darken(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images * 0

    model = dcgan(augmentation=Darken()).eval()
    batch = batch_for(model)
    assert FeatureMatching().generator(model, batch, model.draw_fakes(batch))["feature_matching"] == 0


def test_feature_matching_in_the_place_of_the_adversarial_term() -> None:
    torch.manual_seed(0)
    loss = WeightedGenerator(NonSaturating(0.9), weight=0)
    model = dcgan(loss=loss, regularizers=[FeatureMatching()])
    fit(model, batches=2)
    assert model._terms["loss/generator/adversarial"] == 0
    assert model._terms["loss/generator"] == model._terms["loss/generator/feature_matching"] > 0
    logits = torch.randn(2, 5)
    assert loss.discriminator(*logits) == NonSaturating(0.9).discriminator(*logits)
    assert loss.threshold == 0
    assert WeightedGenerator(NonSaturating(), 0.5).generator(
        logits[0], lambda: logits[1]
    ) == 0.5 * NonSaturating().generator(logits[0], lambda: logits[1])


def test_feature_matching_needs_features() -> None:
    with pytest.raises(TypeError, match=r"ToyGAN's ToyDiscriminator has none on request: take"):
        trainer(max_epochs=1).fit(ToyGAN(regularizers=[FeatureMatching()]), ToyData())
    judges = [SNDCGANDiscriminator(image_size=16, width=4), Judge()]
    model = CycleGAN(
        *(ResNetGenerator(3, 3, width=4, blocks=1) for _ in range(2)), *judges, regularizers=[FeatureMatching()]
    )
    with pytest.raises(TypeError, match=r"CycleGAN's Judge has none on request: take FeatureMatching out"):
        trainer(max_epochs=1).fit(model, data_for(cyclegan()))


def test_layers_are_matched_in_pairs_only() -> None:
    for model in (cyclegan(), cut(), dcgan()):
        with pytest.raises(TypeError, match="without pairs: choose FeatureMatching, which compares means"):
            LayerMatching().check(model)
    LayerMatching().check(pix2pix())


def test_layer_matching_compares_each_pair_at_every_layer_and_scale() -> None:
    torch.manual_seed(0)
    discriminator = MultiScale(partial(PatchGAN, 2, width=4, receptive_field=16, padding=2, norm="instance"), scales=2)
    model = Pix2Pix(UNetGenerator(1, 1, image_size=16, width=4), discriminator, regularizers=[LayerMatching()])
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    (term,) = LayerMatching(weight=3.0).generator(model, batch, fake).values()
    real_layers, fake_layers = (
        discriminator(torch.cat([batch.source, x], 1), with_features=True).features for x in (batch.target, fake)
    )
    torch.testing.assert_close(term, 3 * layer_matching(real_layers, fake_layers))
    term.backward()
    assert all(p.grad is not None for p in model.generator.parameters())
    assert LayerMatching().discriminator(model, batch, fake) == {}
    fit(model, batches=2)
    assert float(model.records["loss/generator/layer_matching"]) > 0


SEVERAL = ("cyclegan", "augmented_cyclegan", "paired_cyclegan", "unit", "munit", "bicyclegan", "semi_supervised_aae")
"""Models of several discriminators, whose terms have the names of their tasks."""


@pytest.mark.parametrize("build", [build for build in BUILDERS if build.__name__ not in SEVERAL])
def test_feature_matching_stands_beside_every_model_whose_discriminator_has_features(build: Any) -> None:
    model = build(regularizers=[FeatureMatching()])
    if model.discriminator.__class__.__name__ in ("DCGANAutoencoder", "BEGANAutoencoder"):
        with pytest.raises(TypeError, match="has none on request"):
            FeatureMatching().check(model)
        return
    if isinstance(model, SSGAN):  # whose paper matches features itself
        with pytest.raises(ValueError, match="FeatureMatching adds a term 'feature_matching', and the player has one"):
            trainer(max_epochs=1).fit(model, data_for(model))
        return
    trainer(max_epochs=1).fit(model, data_for(model, batches=model.n_critic))
    assert float(model.records["loss/generator/feature_matching"]) > 0


def flat(model: AdversarialModule, player: str) -> Tensor:
    return torch.cat([p.detach().flatten() for p in getattr(model, player).parameters()])


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_historical_averaging_by_hand(player: str, accumulate: int) -> None:
    """The game has a learning rate of 0, and the test sets the history."""
    model = dcgan(accumulate=accumulate, channels_last=True)
    term = HistoricalAveraging(player, weight=0.5)
    past: list[Tensor] = []
    for turn in range(4):
        model.counters.batches_seen = turn
        past.append(flat(model, player))
        expected = 0.5 * (past[-1] - torch.stack(past).mean(0)).square().sum()
        for _ in range(accumulate):
            (value,) = getattr(term, player)(model, None, None).values()
            torch.testing.assert_close(value, expected)
        value.backward()
        with torch.no_grad():
            for p in getattr(model, player).parameters():
                p.add_(torch.randn_like(p))
    other = {"generator": "discriminator", "discriminator": "generator"}[player]
    assert getattr(term, other)(model, None, None) == {}
    gradient = torch.cat([p.grad.flatten() for p in getattr(model, player).parameters()])
    steps = [past[i] - torch.stack(past[: i + 1]).mean(0) for i in range(4)]
    torch.testing.assert_close(gradient, torch.stack(steps).sum(0))  # 2 * 0.5 * (θ - mean): none through the mean


def test_a_strong_pull_keeps_a_player_where_it_was() -> None:
    def moved(regularizers: Any) -> float:
        torch.manual_seed(0)
        sgd: Any = torch.optim.SGD
        model = ToyGAN(
            generator_optimizer=lambda p: sgd(p, lr=0.05),
            discriminator_optimizer=lambda p: sgd(p, lr=0.05),
            regularizers=regularizers,
        )
        before = flat(model, "generator")
        trainer(max_epochs=4).fit(model, ToyData())
        return (flat(model, "generator") - before).norm().item()

    assert moved([HistoricalAveraging("generator", weight=5)]) < 0.6 * moved([])


def test_a_stopped_run_resumes_with_its_history_bit_by_bit(tmp_path: Path) -> None:
    def build() -> DCGAN:
        torch.manual_seed(0)
        regularizers = [HistoricalAveraging("generator"), HistoricalAveraging("discriminator", 0.1), FeatureMatching()]
        return dcgan(regularizers=regularizers)

    fit(whole := build(), 3, tmp_path, epochs=2)
    fit(build(), 3, tmp_path).save_checkpoint(tmp_path / "half.ckpt")
    run = fit(resumed := build(), 3, tmp_path, epochs=2, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    run.save_checkpoint(tmp_path / "a.ckpt")
    assert equal(dict(whole.state_dict()), dict(resumed.state_dict()))
    assert resumed.regularizers[0].turns == 6
    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert equal(dict(loaded.state_dict()), dict(resumed.state_dict()))


def test_any_of_them_beside_a_conditional_game_that_cuts_its_batches_up() -> None:
    regularizers = [FeatureMatching(0.1), HistoricalAveraging("generator"), HistoricalAveraging("discriminator")]
    model = cgan(regularizers=regularizers, accumulate=2, n_critic=2)
    before = weights(model)
    fit(model, batches=4)
    assert not equal(before, weights(model))
    assert [int(r.turns) for r in model.regularizers if isinstance(r, HistoricalAveraging)] == [2, 4]
    assert {"feature_matching", "historical_averaging"} < {name.split("/")[-1] for name in model._terms}


class Counted(LazyRegularizer):
    """The sum of a player's parameters, and a count of the steps."""

    def terms(self, model: Any, batch: Any) -> Terms:
        self.steps = getattr(self, "steps", 0) + 1
        return {"counted": sum(p.sum() for p in getattr(model, self.player).parameters())}  # type: ignore[dict-item]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_lazy_term_has_its_own_steps_in_any_game(accumulate: int) -> None:
    lazy = [Counted("generator", 2), Counted("discriminator", 3)]
    rates = {"generator_optimizer": lambda p: torch.optim.SGD(p, lr=0.3)}
    model = ToyGAN(regularizers=lazy, n_critic=2, accumulate=accumulate, **rates)  # type: ignore[arg-type]
    trainer(max_epochs=3).fit(model, ToyData(batches=4))
    assert [each.steps for each in lazy] == [3 * accumulate, 4 * accumulate]  # of 6 and 12 turns
    assert model.counters.turns == {"discriminator": 12, "generator": 6}
    rates_ = [group["lr"] for each in model.trainer.optimizers for group in each.param_groups]
    assert rates_ == pytest.approx([2e-4 * 3 / 4, 0.3 * 2 / 3])


def test_the_step_of_a_lazy_term_is_as_long_as_its_period() -> None:
    sgd = {f"{player}_optimizer": lambda p: torch.optim.SGD(p, lr=0.5) for player in ("generator", "discriminator")}
    model = ToyGAN(regularizers=[Counted("generator", 4)], loss=WeightedGenerator(NonSaturating(), 0.0), **sgd)  # type: ignore[arg-type]
    before = weights(model.generator)
    trainer(max_epochs=1).fit(model, ToyData(batches=1))
    for name, p in model.generator.named_parameters():
        torch.testing.assert_close(p.detach(), before[name] - 4 * 0.5 * 4 / 5)  # the gradient is 1


def test_r1_of_a_linear_critic() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(16, 1)

        def forward(self, images: Tensor) -> Tensor:
            return self.linear(images.flatten(1)).flatten()

    critic = Linear()
    model = ToyGAN(discriminator=critic, regularizers=[R1(gamma=3.0, every=1)])
    (value,) = R1(gamma=3.0).terms(model, ImageBatch(torch.rand(4, 1, 4, 4))).values()
    torch.testing.assert_close(value, 1.5 * critic.linear.weight.square().sum())


class LinearStyles(StyledGenerator):
    """Images that are linear in styles, which are latents: J is the matrix."""

    def __init__(self) -> None:
        super().__init__(noise=0.0)
        self.net = nn.Linear(3, 16)  # type: ignore[assignment]

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return z

    def synthesis(self, w: Tensor) -> Tensor:
        return self.net(w).view(-1, 1, 4, 4)


def test_path_lengths_of_a_linear_generator_have_their_closed_form() -> None:
    torch.manual_seed(0)
    generator = LinearStyles()
    model, batch = ToyGAN(generator), ImageBatch(torch.zeros(20_000, 1, 4, 4))
    term = PathLength(weight=2.0, shrink=1, decay=0.25)
    lengths = term.lengths(model, batch, 20_000)
    j = generator.net.weight  # (16, 3): Jᵀy is normal, with covariance JᵀJ / (H W)
    torch.testing.assert_close(lengths.square().mean(), j.square().sum() / 16, rtol=0.02, atol=0)

    torch.manual_seed(1)
    (value,) = term.terms(model, batch).values()
    torch.manual_seed(1)
    torch.randn(20_000, 3)
    y = torch.randn(20_000, 16) / 4
    expected = (y @ j).norm(dim=1)
    torch.testing.assert_close(term.mean, 0.25 * expected.mean().detach())
    torch.testing.assert_close(value, 2 * (expected - term.mean).square().mean())
    gradients = [torch.autograd.grad(each, j)[0] for each in (value, 2 * (expected - term.mean).square().mean())]
    torch.testing.assert_close(*gradients)


def test_path_lengths_of_one_style_a_layer_are_a_mean_over_layers() -> None:
    class Layers(LinearStyles):
        def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            return z[:, None].repeat(1, 4, 1)

        def synthesis(self, w: Tensor) -> Tensor:
            return self.net(w.sum(dim=1)).view(-1, 1, 4, 4)

    one, several = LinearStyles(), Layers()
    several.load_state_dict(one.state_dict())
    found = []
    for generator in (one, several):
        torch.manual_seed(0)
        found.append(PathLength().lengths(ToyGAN(generator), ImageBatch(torch.zeros(8, 1, 4, 4)), 8))
    torch.testing.assert_close(*found)


def test_path_length_needs_styles_and_trains_any_generator_that_has_some() -> None:
    with pytest.raises(TypeError, match="ToyGAN's ToyGenerator has none"):
        trainer(max_epochs=1).fit(ToyGAN(regularizers=[PathLength()]), ToyData())
    model = ToyGAN(StyledGenerator(), regularizers=[PathLength(every=2), R1(every=1)])
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, ToyData(batches=2))
    assert model.records["loss/generator/path_length"].dtype == torch.float32
    assert float(model.regularizers[0].mean) > 0  # type: ignore[arg-type]


# ------------------------------------------------------------------ orthogonality


def test_orthogonality_by_its_formula_with_its_gradient() -> None:
    torch.manual_seed(0)
    model = dcgan()
    batch = batch_for(model)
    regularizer = OrthogonalRegularization(weight=0.5)
    (term,) = regularizer.generator(model, batch, None).values()
    assert regularizer.discriminator(model, batch, None) == {}
    expected, gradients = 0.0, {}
    for name, p in model.generator.named_parameters():
        if p.dim() >= 2:
            w = p.detach().double().flatten(1)
            apart = w @ w.T * (1 - torch.eye(len(w)))
            expected += 0.5 * float(apart.square().sum())
            gradients[name] = 0.5 * 4 * apart @ w  # d/dW of the squared norm; the authors' code has 2
    assert term.item() == pytest.approx(expected, rel=1e-5)
    term.backward()
    for name, p in model.generator.named_parameters():
        if name in gradients:
            torch.testing.assert_close(p.grad.double().flatten(1), gradients[name], rtol=1e-4, atol=1e-8)
        else:
            assert p.grad is None


def test_orthogonality_of_the_other_player_and_not_of_embeddings() -> None:
    class Embedded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(3, 3)
            self.linear = torch.nn.Linear(2, 2, bias=False)

    model = dcgan()
    model.discriminator = Embedded()
    with torch.no_grad():
        model.discriminator.linear.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    (term,) = OrthogonalRegularization("discriminator", 1.0).discriminator(model, None, None).values()
    assert term.item() == 2 * 11**2
    with torch.no_grad():
        model.discriminator.linear.weight.copy_(torch.tensor([[5.0, 0.0], [0.0, 7.0]]))
    assert not OrthogonalRegularization("discriminator").discriminator(model, None, None)["orthogonal"].item()


def test_a_regularizer_follows_a_schedule() -> None:
    model = dcgan()
    batch = batch_for(model)
    plain = OrthogonalRegularization().generator(model, batch, None)["orthogonal"]
    scheduled = Scheduled(OrthogonalRegularization(), Cosine(100, final=0.5, unit="image"))
    for model.counters.images_seen, factor in ((0, 1.0), (50, 0.75), (500, 0.5)):
        torch.testing.assert_close(scheduled.generator(model, batch, None)["orthogonal"], factor * plain)
    assert scheduled.discriminator(model, batch, None) == {}


def test_the_schedule_of_a_regularizer_is_compared_with_the_run() -> None:
    late = Scheduled(OrthogonalRegularization(), LinearToZero(start=50, end=60, unit="batch"))
    with pytest.warns(UserWarning, match=r"model.regularizers.0.schedule: begins to fall after 50 batches"):
        fit(dcgan(regularizers=[late]), batches=2)


def test_a_scheduled_regularizer_resumes_exactly(tmp_path: Path) -> None:
    def run(epochs: int, **how: Any) -> AdversarialModule:
        torch.manual_seed(len(how))
        schedule = Cosine(40, final=0.1, unit="image")
        model = dcgan(regularizers=[Scheduled(OrthogonalRegularization(weight=1.0), schedule)])
        fit(model, batches=3, folder=tmp_path, epochs=epochs, **how).save_checkpoint(tmp_path / "end.ckpt")
        return model

    whole = run(4)
    run(2)
    resumed = run(4, ckpt_path=tmp_path / "end.ckpt", weights_only=True)
    assert equal(dict(whole.state_dict()), dict(resumed.state_dict()))


# ------------------------------------------------------------------ several discriminators, sources, names of terms


def numbered_cyclegan(**how: Any) -> CycleGAN:
    return CycleGAN(*(ResNetGenerator(3, 3, width=4, blocks=1) for _ in range(2)), Judge(2.0), Judge(3.0), **how)


def unpaired() -> UnpairedBatch:
    return UnpairedBatch(torch.full((2, 3, 8, 8), 0.1), torch.full((2, 3, 8, 8), -0.2))


def test_the_contests_of_a_cyclegan() -> None:
    model, batch = numbered_cyclegan().eval(), unpaired()
    fake = model.draw_fakes(batch)
    in_a, in_b = model.contests(batch, fake)
    assert (in_a.name, in_b.name, in_a.term("r1")) == ("a", "b", "r1_a")
    assert in_a.real is in_b.source is batch.real_a
    assert in_b.real is in_a.source is batch.real_b
    assert in_a.fake is fake.fake_a
    assert in_b.fake is fake.fake_b
    assert float(in_a.verdict(batch.real_a).logits[0].sum()) == pytest.approx(2 * float(batch.real_a.sum()), rel=1e-5)
    assert [contest.fake for contest in model.contests(batch)] == [None, None]


def test_the_contests_of_other_models() -> None:
    model, batch = pix2pix(), batch_for(pix2pix())
    (contest,) = model.contests(batch, fake := model.draw_fakes(batch))
    assert contest.real is batch.target
    assert contest.source is batch.source
    assert contest.fake is fake
    assert contest.term("r1") == "r1"
    model, batch = cut(), data_for(cut()).batches[0]
    (contest,) = model.contests(batch, fake := model.draw_fakes(batch))
    assert (contest.real, contest.source, contest.fake) == (batch.real_b, batch.real_a, fake.fake_b)
    (contest,) = dcgan().contests(batch_for(dcgan()))
    assert contest.source is contest.fake is None


def test_penalties_of_each_discriminator_by_their_numbers() -> None:
    """The gradient of a judge by its image is its factor at each of 3·8·8 values."""
    model, batch = numbered_cyclegan().eval(), unpaired()
    fake = model.draw_fakes(batch)
    squares = {"a": 4.0 * 192, "b": 9.0 * 192}
    expected = {f"{name}_{domain}": 0.25 * squares[domain] for name in ("r1", "r2") for domain in "ab"}
    found = GradientPenalties(gamma=0.5).discriminator(model, batch, fake)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected)
    assert GradientPenalties(gamma=0.5).generator(model, batch, fake) == {}
    lazy = R1(gamma=0.5).terms(model, batch) | R2(gamma=0.5).terms(model, batch)
    assert {name: float(value) for name, value in lazy.items()} == pytest.approx(expected)
    found["r2_b"].backward()
    assert model.discriminator["b"].factor.grad.item() == pytest.approx(0.25 * 2 * 3 * 192)
    assert all(p.grad is None for p in model.generator.parameters())


def test_penalties_take_images_before_the_augmentation_and_all_scales() -> None:
    class Double(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return 2 * images

    model, batch = numbered_cyclegan(augmentation=Double()).eval(), unpaired()
    assert float(R1(gamma=2.0).terms(model, batch)["r1_a"]) == pytest.approx(16 * 192)
    judges = [MultiScale(Judge, scales=2), Judge()]
    model = CycleGAN(*(ResNetGenerator(3, 3, width=4, blocks=1) for _ in range(2)), *judges).eval()
    # the coarser scale adds the factor times the weights of its pooling
    images = torch.zeros(1, 3, 8, 8, requires_grad=True)
    torch.cat([each.flatten() for each in judges[0](images).logits]).sum().backward()
    assert float(R1(gamma=2.0).terms(model, batch)["r1_a"]) == pytest.approx(float(images.grad.square().sum()))


class Twice(Network):
    """A fixed network whose features are twice its images."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(2 * torch.eye(3)[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


def test_perceptual_terms_by_their_numbers() -> None:
    model, batch = numbered_cyclegan().eval(), unpaired()
    fakes = Exchanged(fake_b=torch.full((2, 3, 8, 8), 0.3), fake_a=torch.full((2, 3, 8, 8), 0.5))
    loss = FeatureLoss(Twice(), {"layer": 1.0})
    terms = Perceptual(loss, weight=3.0, target="source").generator(model, batch, fakes)
    expected = {"perceptual_a": 3 * 2 * 0.7, "perceptual_b": 3 * 2 * 0.2}
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected)
    terms = Perceptual(loss, name="style").generator(model, batch, fakes)
    assert {name: float(value) for name, value in terms.items()} == pytest.approx({"style_a": 0.8, "style_b": 1.0})
    assert Perceptual(loss).discriminator(model, batch, fakes) == {}
    with pytest.raises(ValueError, match='target must be "real" or "source"'):
        Perceptual(loss, target="fake")  # type: ignore[arg-type]


def test_a_model_from_noise_has_no_source() -> None:
    looked = Perceptual(FeatureLoss(Twice(), {"layer": 1.0}), target="source")
    with pytest.raises(TypeError, match="DCGAN makes its images from noise"):
        fit(dcgan(regularizers=[looked]))
    fit(model := dcgan(regularizers=[Perceptual(FeatureLoss(Twice(), {"layer": 1.0}))]))
    assert float(model.records["loss/generator/perceptual"]) > 0


def test_a_perceptual_term_needs_its_weights_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GAN_LIGHTNING_VGG19", raising=False)
    with pytest.raises(FileNotFoundError, match="GAN_LIGHTNING_VGG19"):
        fit(model := pix2pix(regularizers=[Perceptual(VGG19Loss({"relu1_1": 1.0}))]))
    assert model.batches_seen == 0


def test_two_terms_of_one_name_are_refused() -> None:
    looked = [Perceptual(FeatureLoss(Twice(), {"layer": 1.0})) for _ in range(2)]
    with pytest.raises(ValueError, match=r"Perceptual adds a term 'perceptual', .* or give it another `name`"):
        fit(pix2pix(regularizers=looked))


def test_a_lazy_regularizer_is_not_scheduled() -> None:
    with pytest.raises(TypeError, match="R1 takes steps of its own between them: list it by itself"):
        fit(dcgan(regularizers=[Scheduled(R1(), Cosine())]))


def test_gradient_penalties_are_a_part_of_the_loss_and_take_no_step_of_their_own() -> None:
    model = dcgan(regularizers=[GradientPenalties(1.0)])
    fit(model)
    records = {name: float(value) for name, value in model.records.items()}
    parts = [records[f"loss/discriminator/{name}"] for name in ("adversarial", "r1", "r2")]
    assert records["loss/discriminator"] == pytest.approx(sum(parts))
    assert model.optimizer_of("discriminator").param_groups[0]["lr"] == pytest.approx(2e-4)
