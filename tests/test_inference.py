"""Dropout and batch norm at the time of use."""

import pytest
import torch
from torch import nn

from gan_lightning.adversarial import evaluating
from gan_lightning.inference import SharedStatistics, activate_dropout, instance_statistics
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
    with instance_statistics(made):
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
        with instance_statistics(made):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "forward" not in vars(made[1])
    assert made(torch.randn(2, 2, 6, 6)).shape == (2, 3, 4, 4)


def test_the_statistics_need_no_affine_parameters_and_no_batch_norm() -> None:
    bare = nn.BatchNorm2d(2, affine=False).eval()
    images = torch.randn(2, 2, 5, 5) * 7 + 3
    with instance_statistics(bare):
        out = bare(images)
    torch.testing.assert_close(out.mean(dim=(2, 3)), torch.zeros(2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim=(2, 3), unbiased=False), torch.ones(2, 2), atol=1e-3, rtol=0)
    with instance_statistics(nn.ReLU()):
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
    """Two layers of instance norm: one of its own kind, one batch norm that is told to be."""
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
    with instance_statistics(made):
        expected = made(images)
        statistics = SharedStatistics()
        with statistics:
            first = made(images)
        statistics.fix()
        assert len(statistics) == 2
        with statistics:
            again = made(images)
        with statistics:
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
