"""CoGAN: shared layers by identity, pairs from one z, both losses by hand, the domains in turn, agreement of pairs."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.counterparts import Edges, Negative
from gan_lightning.models import CoGAN
from gan_lightning.models.cogan import agreement
from gan_lightning.networks import CoGANDiscriminator, CoGANGenerator
from tiny import CLASSES, SMALL, Batches, batch_for, images
from toys import trainer, weights


def cogan(**how: Any) -> CoGAN:
    domains = {**SMALL, "num_classes": how.pop("domains", CLASSES)}
    return CoGAN(CoGANGenerator(6, **domains), CoGANDiscriminator(**domains), **how)


def cogan_batch(count: int, seed: int) -> ImageBatch:
    return ImageBatch(images(count, 1, seed), torch.arange(count) % CLASSES)


def test_both_networks_have_the_authors_sizes_and_share_all_but_the_layers_at_the_image() -> None:
    model = CoGAN()
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in model.named_children() if name != "loss"}
    assert count["generator"] == 7_842_694
    assert count["discriminator"] == 427_593
    # both domains run through the same objects: a domain's own is one layer of each network
    for network, own in ((model.generator, 128 * 36 + 1), (model.discriminator, 25 * 20 + 20)):
        assert [sum(p.numel() for p in layer.parameters()) for layer in network.private] == [own, own]
        assert not {*network.private[0].parameters()} & {*network.private[1].parameters()}


@pytest.mark.parametrize(("size", "start"), [(28, 4), (16, 4), (20, 3 + 2), (64, 16), (32, 8)])
def test_images_have_the_size_that_is_asked_for(size: int, start: int) -> None:
    generator = CoGANGenerator(5, size, 3, width=2)
    assert generator.shared[0].kernel_size == (start, start)
    made = generator(torch.randn(3, 5))
    assert made.shape == (6, 3, size, size)
    assert CoGANDiscriminator(size, 3, width=2)(made, torch.tensor([0, 1] * 3)).shape == (6,)
    with pytest.raises(ValueError, match="multiple of 4 from 16 up, not 30"):
        CoGANGenerator(image_size=30)


def test_without_domains_the_generator_makes_each_z_in_every_domain() -> None:
    torch.manual_seed(0)
    generator = CoGANGenerator(6, **SMALL).eval()
    z = torch.randn(3, 6)
    every = generator(z)
    for domain in (0, 1):
        torch.testing.assert_close(every[domain::2], generator(z, torch.full((3,), domain)))
    assert (every[::2] - every[1::2]).abs().max() > 1e-3


def test_the_logit_is_that_of_two_classes() -> None:
    torch.manual_seed(0)
    judge = CoGANDiscriminator(**SMALL)
    shown, domains = images(4, 1, 0), torch.tensor([0, 1, 1, 0])
    both = judge.head.classes(judge.features(shown, domains))
    logits = judge(shown, domains)
    real, fake = torch.ones(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    torch.testing.assert_close(bce(logits, torch.ones(4)), F.cross_entropy(both, real))
    torch.testing.assert_close(bce(logits, torch.zeros(4)), F.cross_entropy(both, fake))


def test_both_losses_are_cross_entropies_over_both_domains() -> None:
    torch.manual_seed(0)
    model = cogan(domains=2).eval()
    batch = ImageBatch(images(4, 1, 0), torch.tensor([0, 1, 0, 1]))
    fake = model.draw_fakes(batch)
    logits = [model.discriminator(shown, batch.labels) for shown in (batch.images, fake)]
    expected = bce(logits[0], torch.ones(4)) + bce(logits[1], torch.zeros(4))  # one mean over both domains
    torch.testing.assert_close(model.discriminator_loss(batch, fake)["adversarial"], expected)
    torch.testing.assert_close(model.generator_loss(batch, fake)["adversarial"], bce(logits[1], torch.ones(4)))


def test_a_step_trains_the_shared_layers_by_both_domains_and_once() -> None:
    torch.manual_seed(0)
    model = cogan(domains=2)
    before = weights(model)
    batch = ImageBatch(images(4, 1, 0), torch.tensor([0, 1, 0, 1]))
    trainer(max_epochs=1).fit(model, Batches([batch]))
    after = weights(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"generator.private.0.weight", "generator.private.1.weight", "generator.shared.0.weight"} <= changed
    for optimizer in model.optimizers():
        held = [p for group in optimizer.param_groups for p in group["params"]]
        assert len(held) == len({*held})
        assert {float(state["step"]) for state in optimizer.state.values()} == {1.0}
    # Adam's first step is the learning rate, whatever the gradient: shared weights have moved once
    moved = (after["generator.shared.0.weight"] - before["generator.shared.0.weight"]).abs().max()
    assert float(moved) == pytest.approx(2e-4, rel=1e-3)


@pytest.mark.parametrize(
    ("labels", "pairs"),
    [
        ([0, 1, 0, 1], [0, 0, 1, 1]),  # the paper's: each z once in every domain
        ([1, 1, 0, 0], [0, 1, 0, 1]),
        ([0, 0, 0, 1], [0, 1, 0, 0]),  # more of a domain than there are z
        ([1, 0, 1], [0, 0, 1]),
    ],
)
def test_fakes_are_counterparts_of_the_same_latents(labels: list[int], pairs: list[int]) -> None:
    torch.manual_seed(0)
    model = cogan(domains=2).eval()
    seen: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, out: seen.append(args[0]))
    fakes = model.draw_fakes(ImageBatch(images(len(labels), 1, 0), torch.tensor(labels)))
    (z,) = seen
    assert len(z) == 2  # one for each pair
    torch.testing.assert_close(fakes, model.generator(z[torch.tensor(pairs)], torch.tensor(labels)))


def test_agreement_counts_pixels_on_the_same_side_of_grey() -> None:
    expected = torch.tensor([[[[-1.0, -0.2], [0.4, 1.0]]]])
    assert float(agreement(expected, torch.tensor([[[[-0.1, 0.3], [0.1, 0.9]]]]))) == 0.75


def test_counterparts_by_hand() -> None:
    assert torch.equal(Negative()(torch.tensor([0.25])), torch.tensor([-0.25]))
    image = torch.full((1, 1, 4, 4), -1.0)
    image[0, 0, 0, 0] = 1.0
    edges = Edges()(image)[0, 0]
    expected = torch.full((4, 4), -1.0)
    expected[0, 1] = expected[1, 0] = expected[1, 1] = 1.0  # around the stroke, and not on it
    assert torch.equal(edges, expected)


class Half(CoGANGenerator):
    """Makes images of 0.5 in the first domain; in the second, their negatives but for the left half."""

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        maps = torch.full((len(z), 2, 1, 16, 16), 0.5) + 0 * self.shared[0].bias[0]
        maps[:, 1] = -0.5
        maps[:, 1, :, :, :8] = 0.5
        return maps.flatten(0, 1) if labels is None else maps[torch.arange(len(z)), labels]


def test_validation_measures_the_agreement_of_pairs() -> None:
    model = CoGAN(Half(6, **SMALL), CoGANDiscriminator(**SMALL), counterpart=Negative())
    batches = [ImageBatch(images(n, 1, 0), torch.arange(n) % 2) for n in (4, 3)]
    (found,) = trainer().validate(model, Batches(batches), verbose=False)
    assert found["val/pixel_agreement"] == pytest.approx(0.5)
    (found,) = trainer().test(model, Batches(batches), verbose=False)
    assert found["test/pixel_agreement"] == pytest.approx(0.5)


def test_the_images_to_evaluate_are_those_of_generate() -> None:
    model, plain = cogan(counterpart=Negative()), cogan()
    plain.load_state_dict(model.state_dict())
    seen: list[Tensor] = []
    for each in (model, plain):
        each.trainer = trainer()  # type: ignore[assignment]
        each.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]
        batch = batch_for(each)
        torch.manual_seed(3)
        seen.append(each.eval().validation_step(batch, 0))
    torch.testing.assert_close(*seen)


def test_a_preview_shows_counterparts_side_by_side() -> None:
    model = cogan(domains=2).eval()
    shown, columns = model.preview(batch_for(model), 16)
    assert (len(shown), columns) == (16, 8)
    z = model.sampler.latents(range(8), seed=0)
    torch.testing.assert_close(shown[1::2], model.sampler.images(z, torch.ones(8, dtype=torch.int64)))
