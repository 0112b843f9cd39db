"""Samplers and translators; dropout and batch norm at the time of use."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.inference import LatentSampler, Translator, evaluating
from gan_lightning.inference.statistics import InstanceStatistics, SharedStatistics, activate_dropout
from toys import equal


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.ReLU()).eval()
    with torch.no_grad():
        made[1].weight.uniform_(0.5, 2)
        made[1].bias.normal_()
    return made


def test_dropout_alone_goes_into_training() -> None:
    made = network()
    activate_dropout(made)
    assert [module.training for module in made] == [False, False, True, True, False]


def test_each_image_has_its_own_statistics() -> None:
    made = network()
    images = torch.randn(3, 2, 6, 6) * torch.tensor([0.1, 1, 10]).view(3, 1, 1, 1)
    before = {name: value.clone() for name, value in made.named_buffers()}
    plain = made(images)
    with InstanceStatistics():
        together = made(images)
        alone = torch.cat([made(one[None]) for one in images])
    torch.testing.assert_close(together, alone)
    assert equal(before, dict(made.named_buffers()))

    made[1].train()
    torch.testing.assert_close(together[:1], made(images[:1]))  # what training does to a batch of one
    made.load_state_dict({**made.state_dict(), **before})
    assert torch.equal(made.eval()(images), plain)  # and batch norm is itself again


def test_batch_norm_is_itself_again_after_an_error() -> None:
    made = network()

    def fail() -> None:
        with InstanceStatistics():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "forward" not in vars(made[1])
    assert made(torch.randn(2, 2, 6, 6)).shape == (2, 3, 4, 4)


def test_the_statistics_need_no_affine_parameters_and_no_batch_norm() -> None:
    bare = nn.BatchNorm2d(2, affine=False).eval()
    images = torch.randn(2, 2, 5, 5) * 7 + 3
    with InstanceStatistics():
        out = bare(images)
    torch.testing.assert_close(out.mean(dim=(2, 3)), torch.zeros(2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim=(2, 3), unbiased=False), torch.ones(2, 2), atol=1e-3, rtol=0)
    with InstanceStatistics():
        pass


def test_evaluating_puts_every_part_back_into_its_own_mode() -> None:
    made = network().train()
    made[1].eval()
    modes = [module.training for module in made.modules()]

    def fail() -> None:
        with evaluating(made):
            assert not any(module.training for module in made.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [module.training for module in made.modules()] == modes


def deep() -> nn.Sequential:
    """Two layers of instance norm: an InstanceNorm2d, and a BatchNorm2d that was made one."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 1), nn.InstanceNorm2d(4, affine=True), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.BatchNorm2d(3)]
    made = nn.Sequential(*layers).eval()
    with torch.no_grad():
        for norm in (made[1], made[4]):
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    return made


def test_one_part_is_normalised_as_it_would_be_alone() -> None:
    made, images = deep(), torch.randn(1, 2, 8, 8) * 3 + 1
    with InstanceStatistics():
        expected = made(images)
    statistics = SharedStatistics()
    with statistics, InstanceStatistics():
        first = made(images)
    statistics.fix()
    assert len(statistics) == 2
    with statistics, InstanceStatistics():
        again = made(images)
    with statistics, InstanceStatistics():
        part = made(images[:, :, :3])
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(again, expected)
    torch.testing.assert_close(part, expected[:, :, :3])  # as a part of the whole, not for itself


def test_statistics_of_parts_are_those_of_the_whole() -> None:
    made = deep()[:2]  # of deeper layers they are so nearly only
    parts = [torch.randn(1, 2, 8, width) * width + width for width in (2, 5, 9)]
    statistics = SharedStatistics()
    for part in parts:
        with statistics:
            made(part)
    statistics.fix()
    shared = []
    for part in parts:
        with statistics:
            shared.append(made(part))
    torch.testing.assert_close(torch.cat(shared, dim=3), made(torch.cat(parts, dim=3)))


def test_fixed_running_averages_are_left_alone() -> None:
    made = network()[:2]
    images = torch.randn(1, 2, 6, 6)
    statistics = SharedStatistics()
    with statistics:
        assert torch.equal(made(images), made(images))
    assert len(statistics) == 0
    tracked = nn.InstanceNorm2d(2, track_running_stats=True).eval()
    with statistics:
        assert torch.equal(tracked(images), images / (1 + 1e-5) ** 0.5)
    assert len(statistics) == 0


# ---------------------------------------------------------------------- samplers


class Noisy(nn.Module):
    """A conditional generator with a space of styles, which draws noise of its own."""

    latent_dim, num_classes = 5, 3

    def __init__(self) -> None:
        super().__init__()
        self.styles, self.classes = nn.Linear(5, 4), nn.Embedding(3, 4)
        self.to_images = nn.Sequential(nn.Linear(4, 12), nn.BatchNorm1d(12), nn.Dropout(), nn.Unflatten(1, (3, 2, 2)))

    def mapping(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.styles(z) + self.classes(labels)

    def synthesis(self, w: Tensor) -> Tensor:
        images = self.to_images(w)
        return images + torch.randn_like(images)


def plain() -> nn.Module:
    """A generator whose only space is z, and which draws noise."""

    class Plain(nn.Module):
        latent_dim = 5

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(5, 12), nn.Unflatten(1, (3, 2, 2)))

        def forward(self, z: Tensor) -> Tensor:
            return self.net(z) + torch.randn(len(z), 1, 2, 2)

    torch.manual_seed(0)
    return Plain()


@pytest.mark.parametrize("truncation", [None, 0.5])
def test_an_image_of_a_seed_is_the_same_whatever_is_made_with_it(truncation: float | None) -> None:
    sampler = LatentSampler(plain())
    whole = sampler.sample(7, seed=3, truncation=truncation)
    state = torch.get_rng_state()
    parts = [sampler.sample(n, seed=3, first=first, truncation=truncation) for first, n in ((0, 2), (2, 4), (6, 1))]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.allclose(sampler.sample(7, seed=4, truncation=truncation), whole)
    z = sampler.latents(range(2, 6), 3, truncation)
    torch.testing.assert_close(sampler.images(z, seed=3, first=2), whole[2:6])  # by the way of its latents
    assert truncation is None or z.abs().max() <= truncation


def test_a_generator_with_styles_has_both_spaces_and_gradients() -> None:
    torch.manual_seed(0)
    network = Noisy().train()
    sampler = LatentSampler(network)
    assert (sampler.spaces, LatentSampler(plain()).spaces) == (("z", "w"), ("z",))
    z = sampler.draw(4).requires_grad_()
    w = sampler.map(z, torch.arange(4) % 3)
    assert w.shape == (4, 4)
    first, again, other = (sampler.synthesize(w, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)  # noise fixed by the seed, and no dropout
    assert not torch.equal(first, other)
    (gradient,) = torch.autograd.grad(first.sum(), z)
    assert gradient.abs().sum() > 0
    assert all(part.training for part in network.modules())  # and every part is in its own mode again
    assert not sampler.sample(2, seed=0).requires_grad
    bare = LatentSampler(plain())
    assert bare.map(z) is z


def test_precision_outside_does_not_reach_images() -> None:
    sampler = LatentSampler(plain())
    with torch.autocast("cpu", torch.bfloat16):
        assert sampler.sample(2, seed=0).dtype == torch.float32
        assert Translator(nn.Conv2d(3, 3, 1)).translate(torch.zeros(1, 3, 4, 4)).dtype == torch.float32


def test_classes_come_in_turn_or_as_asked() -> None:
    torch.manual_seed(0)
    sampler = LatentSampler(Noisy())
    assert sampler.classes(4, first=2).tolist() == [2, 0, 1, 2]
    assert torch.equal(sampler.sample(4, seed=0), sampler.sample(4, torch.tensor([0, 1, 2, 0]), seed=0))
    with pytest.raises(ValueError, match="takes no labels"):
        LatentSampler(plain()).sample(1, torch.zeros(1, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"does not state its latent_dim \(it is None\)"):
        LatentSampler(nn.Linear(3, 3))


def test_directions_by_name() -> None:
    both = Translator(nn.ModuleDict({"a_to_b": nn.Flatten(), "b_to_a": nn.Identity()}))
    assert both.directions == ("a_to_b", "b_to_a")
    assert both.translate(torch.zeros(1, 3, 2, 2), "b_to_a").shape == (1, 3, 2, 2)
    assert both.translate(torch.zeros(1, 3, 2, 2)).shape == (1, 12)
    assert Translator(nn.Identity(), clamp=True).translate(torch.full((1, 1, 2, 2), 3.0)).max() == 1
    with pytest.raises(ValueError, match="no direction 'c': choose a_to_b or b_to_a"):
        both.translate(torch.zeros(1, 3, 2, 2), "c")


def test_nothing_here_needs_lightning() -> None:
    script = "import sys, gan_lightning.inference, gan_lightning.latent; sys.exit('lightning' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
