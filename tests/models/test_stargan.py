"""StarGAN: every term by its number, targets from the batch, domains and attributes, choices by name."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.data.batches import DomainsBatch, ImageBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.inference import Choice
from gan_lightning.models import StarGAN
from gan_lightning.models.stargan import Fakes
from gan_lightning.networks import StarGANDiscriminator, StarGANGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.recording import Network
from tiny import Batches, images
from toys import trainer

NAMES = ("noto", "fluent", "openmoji")


def stargan(**how: Any) -> StarGAN:
    return StarGAN(
        StarGANGenerator(3, in_channels=3, width=4, blocks=1),
        StarGANDiscriminator(3, image_size=16, in_channels=3, width=4, layers=3),
        **{"n_critic": 1} | how,
    )


def stargan_batch(count: int, seed: int) -> ImageBatch:
    return ImageBatch(images(count, 3, seed), torch.arange(count) % 3)


def attributes_batch(count: int, seed: int) -> ImageBatch:
    drawn = torch.randint(2, (count, 3), generator=torch.Generator().manual_seed(seed))
    return ImageBatch(images(count, 3, seed), drawn.float())


class Shift(Network):
    """A generator that adds a number for each component of the code, and half of the image."""

    num_targets, in_channels, multiple, minimum = 3, 1, 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.tensor([0.1, 0.2, 0.4]))

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        return images / 2 + (code @ self.numbers)[:, None, None, None]


class Judge(Network):
    """Logits: twice each pixel. Class logits: multiples of the mean."""

    image_shape = (1, 2, 2)

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput((2 * images,), class_logits=images.mean(dim=(1, 2, 3))[:, None] * self.factors)


IMAGES = torch.tensor([0.5, -0.25])[:, None, None, None].expand(2, 1, 2, 2)
FAKES = torch.tensor([0.3, 0.0])[:, None, None, None].expand(2, 1, 2, 2)
DOMAINS = ImageBatch(IMAGES, torch.tensor([2, 0]))
ATTRIBUTES = ImageBatch(IMAGES, torch.tensor([[0.0, 1, 1], [1, 0, 0]]))


@pytest.mark.parametrize(("lambda_class", "lambda_cycle", "lambda_gp"), [(1.0, 10.0, 10.0), (0.5, 3.0, 7.0)])
def test_the_losses_of_domains_by_their_numbers(lambda_class: float, lambda_cycle: float, lambda_gp: float) -> None:
    given = {} if lambda_class == 1 else {"lambda_class": 0.5, "lambda_cycle": 3.0, "lambda_gp": 7.0}
    model = StarGAN(Shift(), Judge(), **given)
    fake = Fakes(FAKES, torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    factors = torch.tensor([1.0, -2, 3])
    own = -(0.5 * factors).log_softmax(0)[2] / 2 - (-0.25 * factors).log_softmax(0)[0] / 2
    wanted = -(0.3 * factors).log_softmax(0)[0] / 2 - torch.zeros(3).log_softmax(0)[1] / 2
    assert {name: float(value) for name, value in model.discriminator_loss(DOMAINS, fake).items()} == pytest.approx(
        {
            "adversarial": 2 * 0.15 - 2 * 0.125,
            "class": lambda_class * float(own),
            "gradient_penalty": lambda_gp * (4 - 1) ** 2,  # four pixels with slopes of 2: a norm of 4
        }
    )
    # back to domain 2 (+ 0.4) from 0.3, and to domain 0 (+ 0.1) from 0
    errors = abs(0.15 + 0.4 - 0.5) / 2 + abs(0.1 + 0.25) / 2
    assert {name: float(value) for name, value in model.generator_loss(DOMAINS, fake).items()} == pytest.approx(
        {"adversarial": -2 * 0.15, "class": lambda_class * float(wanted), "cycle": lambda_cycle * errors}
    )


def test_cross_entropies_of_attributes_are_summed_over_them_and_averaged_over_images() -> None:
    model = StarGAN(Shift(), Judge(), exclusive=[])
    fake = Fakes(FAKES, torch.tensor([[1.0, 1, 0], [0, 0, 1]]))
    logits = torch.tensor([0.5, -0.25])[:, None] * torch.tensor([1.0, -2, 3])
    assert ATTRIBUTES.labels is not None
    own = F.binary_cross_entropy_with_logits(logits, ATTRIBUTES.labels) * 3
    assert float(model.discriminator_loss(ATTRIBUTES, fake)["class"]) == pytest.approx(float(own))
    logits = torch.tensor([0.3, 0.0])[:, None] * torch.tensor([1.0, -2, 3])
    wanted = F.binary_cross_entropy_with_logits(logits, fake.code) * 3
    assert float(model.generator_loss(ATTRIBUTES, fake)["class"]) == pytest.approx(float(wanted))
    # back to attributes 1 and 2 (+ 0.6), and to attribute 0 (+ 0.1)
    errors = abs(0.15 + 0.6 - 0.5) / 2 + abs(0.1 + 0.25) / 2
    assert float(model.generator_loss(ATTRIBUTES, fake)["cycle"]) == pytest.approx(10 * errors)


@pytest.mark.parametrize(("discriminator", "batches"), [(Judge(), [2, 2]), (StarGANDiscriminator(3, 16, 1, 4, 3), [4])])
def test_only_the_papers_discriminator_judges_both_in_one_batch(discriminator: nn.Module, batches: list[int]) -> None:
    model = StarGAN(Shift(), discriminator, lambda_gp=0.0)
    judged: list[int] = []
    discriminator.register_forward_pre_hook(lambda _, given: judged.append(len(given[0])))
    real = ImageBatch(images(2, 1, 0), torch.tensor([2, 0]))
    model.check_batch(real)
    judged.clear()
    model.discriminator_loss(real, model.draw_fakes(real))
    assert judged == batches


def test_a_term_with_weight_0_is_left_out() -> None:
    model = StarGAN(Shift(), Judge(), lambda_cycle=0, lambda_gp=0)
    fake = model.draw_fakes(DOMAINS)
    assert model.discriminator_loss(DOMAINS, fake).keys() == {"adversarial", "class"}
    assert model.generator_loss(DOMAINS, fake).keys() == {"adversarial", "class"}


def test_targets_are_those_of_the_batch_in_another_order() -> None:
    model, batch = stargan(exclusive=[]), attributes_batch(8, 0)
    assert batch.labels is not None
    orders = set()
    for seed in range(4):
        torch.manual_seed(seed)
        fake = model.draw_fakes(batch)
        assert sorted(fake.code.tolist()) == sorted(batch.labels.tolist())
        assert torch.equal(fake.images, model.generator(batch.images, fake.code))
        orders.add(str(fake.code.tolist()))
    assert len(orders) > 1


def test_evaluations_go_to_the_next_domain_and_compare_with_its_truth() -> None:
    model, batch = stargan(), stargan_batch(3, 0)
    assert batch.labels is not None
    following = torch.eye(3)[[1, 2, 0]]
    assert torch.equal(model.generate(batch), model.translator.apply(batch.images, following))
    assert torch.equal(model.reference(batch), batch.images)
    truths = torch.rand(3, 3, 3, 16, 16)
    aligned = DomainsBatch(batch.images, batch.labels, truths)
    assert torch.equal(model.reference(aligned), torch.stack([truths[0, :, 1], truths[1, :, 2], truths[2, :, 0]]))


def test_evaluations_switch_the_first_attribute() -> None:
    model, batch = stargan(exclusive=[["a", "c"]]), attributes_batch(6, 1)
    assert batch.labels is not None
    model.class_names = ("a", "b", "c")
    wanted = batch.labels.clone()
    wanted[:, 0] = 1 - wanted[:, 0]
    wanted[wanted[:, 0] == 1, 2] = 0
    assert torch.equal(model.evaluated_code(batch), wanted)


def test_the_grid_has_a_column_for_each_target() -> None:
    model = stargan()
    shown, columns = model.preview(stargan_batch(5, 0), 2)
    assert (len(shown), columns) == (8, 4)
    batch = stargan_batch(2, 0)
    for place in range(3):
        made = model.translator.apply(batch.images, torch.eye(3)[[place, place]])
        assert torch.equal(shown.unflatten(0, (2, 4))[:, 1 + place], made)
    switched = stargan(exclusive=[])
    batch = attributes_batch(2, 0)
    assert batch.labels is not None
    shown, _ = switched.preview(batch, 2)
    code = batch.labels.clone()
    code[:, 1] = 1 - code[:, 1]
    assert torch.equal(shown.unflatten(0, (2, 4))[:, 2], switched.translator.apply(batch.images, code))


def test_targets_have_the_names_of_the_data() -> None:
    model = stargan()
    assert model.translator.targets == ("0", "1", "2")
    model.class_names = NAMES
    assert model.translator.targets == NAMES
    assert model.translator.classifier is None
    made = model.translate(images(2, 3, 0), choice=Choice(to="fluent"))
    assert torch.equal(made, model.translator.apply(images(2, 3, 0), torch.eye(3)[[1, 1]]))
    attributes = stargan(exclusive=[["fluent", "noto"]])
    assert attributes.translator.classifier is attributes.discriminator  # before the names are known, too
    attributes.class_names = NAMES
    assert attributes.translator.exclusive == [("fluent", "noto")]


def described(batch: Any, classes: int | None, names: tuple[str, ...]) -> DataDescription:
    return DataDescription(type(batch), 4, classes, {}, names)


@pytest.mark.parametrize(
    ("how", "batch", "said"),
    [
        ({}, ImageBatch(images(2, 3, 0)), "StarGAN needs the domain or the attributes of each image"),
        ({}, attributes_batch(2, 0), r"to learn domains, but the data serve attributes: set model\.exclusive to \[\]"),
        ({"exclusive": []}, stargan_batch(2, 0), r"to learn attributes, but the data serve domains: .* to null"),
        ({}, ImageBatch(images(2, 3, 0), torch.tensor([0, 3])), "domains from 0 to 3, and the networks .* 0 to 2"),
        ({"exclusive": []}, ImageBatch(images(2, 3, 0), torch.zeros(2, 4)), "serve 4 attributes, and .* 3 targets"),
        ({}, ImageBatch(images(2, 1, 0), torch.tensor([0, 1])), "cannot take what the data serve"),
    ],
)
def test_data_that_do_not_fit_are_named(how: dict[str, Any], batch: ImageBatch, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stargan(**how).check_batch(batch)


def test_data_as_a_whole_are_compared_with_the_networks() -> None:
    stargan().check_data(described(stargan_batch(1, 0), 3, NAMES))
    with pytest.raises(ValueError, match=r"the data have 4 domains, and the networks of StarGAN have 3 targets"):
        stargan().check_data(described(stargan_batch(1, 0), 4, (*NAMES, "twemoji")))
    with pytest.raises(ValueError, match=r"model\.exclusive names grey, and the data's attributes are noto, fluent"):
        stargan(exclusive=[["noto", "grey"]]).check_data(described(attributes_batch(1, 0), None, NAMES))


def test_networks_of_different_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="the generator has 4 targets and the discriminator 3"):
        StarGAN(StarGANGenerator(4, width=4, blocks=1), StarGANDiscriminator(3, 16, width=4, layers=3))
    with pytest.raises(ValueError, match="Conv2d does not state its num_targets"):
        StarGAN(nn.Conv2d(3, 3, 1), StarGANDiscriminator(3, 16, width=4, layers=3))


@pytest.mark.parametrize("exclusive", [None, []])
def test_both_kinds_train_with_aligned_truths_in_evaluation(exclusive: Any) -> None:
    model = stargan(exclusive=exclusive, n_critic=2)
    make = stargan_batch if exclusive is None else attributes_batch
    batches = [make(4, seed) for seed in range(2)]
    trainer(max_epochs=2).fit(model, Batches(batches))
    assert model.batches_seen == 4
    assert model.counters.turns == {"discriminator": 4, "generator": 2}
    assert {name.rpartition("/")[2] for name in model.records if name.startswith("loss/generator/")} == {
        "adversarial",
        "class",
        "cycle",
    }
