"""Dropout and batch norm at the time of use."""

import pytest
import torch
from torch import nn

from gan_lightning.adversarial import evaluating
from gan_lightning.inference import activate_dropout, instance_statistics
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
