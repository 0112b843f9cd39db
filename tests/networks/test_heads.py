import pytest
import torch
from torch import nn

from gan_lightning.networks import DCGANDiscriminator
from gan_lightning.networks.heads import MinibatchDiscrimination, MinibatchStdDev
from gan_lightning.recording import describe, rebuild

HEADS = [MinibatchDiscrimination, MinibatchStdDev]


def seen_by_linear(head: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Return the input of a head's last layer."""
    seen: list[torch.Tensor] = []
    handle = head.linear.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    assert head(features).shape == (len(features), 1)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_minibatch_discrimination_is_the_papers_sum_over_the_others(count: int) -> None:
    torch.manual_seed(0)
    head, features = MinibatchDiscrimination(6, kernels=4, kernel_dims=3), torch.randn(count, 6)
    matrices = (features @ head.kernel.weight.T).view(count, 4, 3)
    expected = torch.zeros(count, 4)
    for i in range(count):
        for b in range(4):
            for j in range(count):
                if j != i:
                    expected[i, b] += torch.exp(-(matrices[i, b] - matrices[j, b]).abs().sum())
    torch.testing.assert_close(seen_by_linear(head, features), torch.cat([features, expected], dim=1))


def test_a_batch_of_copies_is_as_close_as_can_be_and_one_image_alone_is_not() -> None:
    head = MinibatchDiscrimination(6, kernels=4)
    assert seen_by_linear(head, torch.ones(5, 6))[:, 6:].tolist() == [[4.0] * 4] * 5
    assert seen_by_linear(head, torch.ones(1, 6))[:, 6:].tolist() == [[0.0] * 4]


def test_minibatch_discrimination_has_the_papers_sizes() -> None:
    head = MinibatchDiscrimination(20)
    assert head.kernel.weight.shape == (100 * 5, 20)
    assert head.linear.weight.shape == (1, 20 + 100)


@pytest.mark.parametrize(
    ("count", "groups"),
    [
        (1, [[0]]),
        (3, [[0, 1, 2]]),
        (4, [[0, 1, 2, 3]]),
        (7, [[0, 1, 2, 3, 4, 5, 6]]),
        (8, [[0, 2, 4, 6], [1, 3, 5, 7]]),
        (10, [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]),
    ],
)
def test_minibatch_standard_deviation_is_that_of_each_images_group(count: int, groups: list[list[int]]) -> None:
    torch.manual_seed(0)
    features = torch.randn(count, 6)
    expected = torch.empty(count, 1)
    for group in groups:
        expected[group] = features[group].std(dim=0, correction=0).mean()
    torch.testing.assert_close(
        seen_by_linear(MinibatchStdDev(6), features), torch.cat([features, expected], dim=1), atol=2e-4, rtol=1e-4
    )


def test_the_group_size_has_an_effect() -> None:
    torch.manual_seed(0)
    deviations = seen_by_linear(MinibatchStdDev(6, group_size=2), torch.randn(8, 6))[:, 6]
    assert len(deviations.unique()) == 4


@pytest.mark.parametrize("head", HEADS)
def test_a_generator_of_one_image_is_seen_in_a_single_step_of_gradient(head: type[nn.Module]) -> None:
    """A head can separate copies of one image from equally good different images; a linear layer cannot."""
    torch.manual_seed(0)
    judge = head(6)
    varied = torch.randn(8, 6)
    gradient = torch.autograd.grad(judge(varied).mean() - judge(varied[:1].expand(8, 6)).mean(), judge.linear.weight)
    assert gradient[0][0, 6:].abs().max() > 0.1


@pytest.mark.parametrize("head", HEADS)
def test_gradients_are_finite_also_for_copies_and_twice(head: type[nn.Module]) -> None:
    judge, features = head(6), torch.ones(4, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(judge(features).sum(), features, create_graph=True)
    gradient.square().sum().backward()
    assert gradient.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in judge.parameters())


@pytest.mark.parametrize("head", HEADS)
def test_closeness_and_spread_are_computed_in_float32_under_mixed_precision(head: type[nn.Module]) -> None:
    torch.manual_seed(0)
    judge, features = head(6), torch.randn(4, 6)
    plain = seen_by_linear(judge, features)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = seen_by_linear(judge, features.bfloat16())
    torch.testing.assert_close(mixed.float(), plain, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("head", HEADS)
def test_a_discriminator_ends_in_it_and_says_so_in_plain_data(head: type[nn.Module]) -> None:
    judge = DCGANDiscriminator(16, 1, 4, head=head)
    assert judge(torch.randn(3, 1, 16, 16)).shape == (3,)
    again = rebuild(describe(judge), ("gan_lightning",))
    assert isinstance(again.head, head)
    again.load_state_dict(judge.state_dict())
