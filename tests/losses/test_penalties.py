import pytest
import torch
from torch import Tensor, nn

from gan_lightning.losses import gradient_penalty, r1, r2
from gan_lightning.losses.penalties import through_images
from gan_lightning.networks import DCGANDiscriminator, PatchGAN

SHAPE = (3, 2, 4, 5)


def linear_critic(norm: float) -> nn.Module:
    """D(x) = w·x + b, whose gradient is w everywhere."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(40, 1), nn.Flatten(0))
    with torch.no_grad():
        weight = net[1].weight
        weight.copy_(weight * norm / weight.norm() if norm else torch.zeros_like(weight))
    return net


def critic() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 8, 3), nn.Softplus(), nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0))


@pytest.fixture
def real() -> Tensor:
    return torch.randn(SHAPE)


@pytest.fixture
def fake() -> Tensor:
    return torch.randn(SHAPE)


@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_a_linear_critics_penalties(norm, real, fake):
    net = linear_critic(norm)
    assert gradient_penalty(net, real, fake).item() == pytest.approx((norm - 1) ** 2, rel=1e-5, abs=1e-10)
    assert gradient_penalty(net, real, fake, target=2).item() == pytest.approx((norm - 2) ** 2, rel=1e-5)
    assert r1(net, real).item() == pytest.approx(norm**2, rel=1e-5)
    assert r2(net, fake).item() == pytest.approx(norm**2, rel=1e-5)


def test_a_linear_critics_gradient_is_the_derivative_by_hand(real, fake):
    net = linear_critic(3.0)
    w = net[1].weight
    (gradient,) = torch.autograd.grad(gradient_penalty(net, real, fake), w)
    torch.testing.assert_close(gradient, 2 * (3 - 1) * w.detach() / 3)  # d (‖w‖ - 1)² / dw
    (gradient,) = torch.autograd.grad(r1(net, real), w)
    torch.testing.assert_close(gradient, 2 * w.detach())


def test_the_norm_is_over_the_whole_image_and_the_mean_over_images():
    """D(x) = Σx² / 2 has the gradient x: the penalty at x = fake = real is known exactly."""
    images = torch.zeros(2, 2, 1, 2)
    images[0] = 1.0  # norm 2
    images[1, 0, 0, 0], images[1, 1, 0, 1] = 3.0, 4.0  # norm 5
    half_square = lambda x: x.square().flatten(1).sum(1) / 2  # noqa: E731
    assert gradient_penalty(half_square, images, images).item() == pytest.approx(((2 - 1) ** 2 + (5 - 1) ** 2) / 2)
    assert r1(half_square, images).item() == pytest.approx((4 + 25) / 2)


def test_points_lie_between_real_and_fake_each_with_an_alpha_of_its_own():
    seen = []

    def spy(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    torch.manual_seed(0)
    real, fake = torch.full((64, 3, 2, 2), -1.0), torch.full((64, 3, 2, 2), 1.0)
    gradient_penalty(spy, real, fake)
    assert len(seen) == 1
    alphas = seen[0].flatten(1)
    assert (alphas == alphas[:, :1]).all()  # one for all of an image
    assert len(alphas[:, 0].unique()) == 64
    assert -1 <= alphas.min() < -0.8
    assert 0.8 < alphas.max() <= 1


def test_packs_have_one_gradient_and_one_alpha():
    images = torch.tensor([[2.0], [0], [0], [5]])[:, :, None, None].expand(4, 1, 1, 1)

    def half_square(x: Tensor) -> Tensor:
        return x.reshape(2, 2).square().sum(1) / 2  # packs of two

    norms = [2.0, 5.0]  # of (2, 0) and (0, 5)
    assert r1(half_square, images, 2).item() == pytest.approx((4 + 25) / 2)
    assert r1(half_square, images).item() == pytest.approx((4 + 25) / 4)  # what it would be image by image
    expected = sum((norm - 1) ** 2 for norm in norms) / 2
    assert gradient_penalty(half_square, images, images, pack=2).item() == pytest.approx(expected)
    seen = []

    def spy(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.reshape(8, -1).sum(1)

    gradient_penalty(spy, torch.zeros(24, 2, 2, 2), torch.ones(24, 2, 2, 2), pack=3)
    alphas = seen[0].reshape(8, -1)
    assert (alphas == alphas[:, :1]).all()
    assert len(alphas[:, 0].unique()) == 8
    with pytest.raises(ValueError, match="24 images make no packs of 5"):
        r1(lambda x: x.flatten(1).sum(1), torch.zeros(24, 1, 2, 2), 5)


def test_images_learn_only_where_they_are_asked_to(real, fake):
    net = critic()
    fake.requires_grad_()
    with through_images():
        value = gradient_penalty(net, real, fake) + r1(net, real) + r2(net, fake)
    value.backward()
    assert fake.grad.abs().sum() > 0
    assert not real.requires_grad


@pytest.mark.parametrize("penalty", [lambda net, x: gradient_penalty(net, x, x), r1, r2])
def test_a_zero_gradient_gives_no_nan(penalty, real):
    net = linear_critic(0.0)
    value = penalty(net, real)
    assert value.item() == (0 if penalty in (r1, r2) else 1)
    value.backward()
    assert not net[1].weight.grad.any()  # NaN would be "any"


@pytest.mark.parametrize("penalty", [gradient_penalty, lambda net, x, y: r1(net, x), lambda net, x, y: r2(net, y)])
def test_the_weights_learn_from_it_and_the_images_do_not(penalty, real, fake):
    net = critic()
    images = [real.requires_grad_(), fake.requires_grad_()]
    penalty(net, *images).backward()
    assert net[0].weight.grad.abs().sum() > 0
    assert net[3].weight.grad.abs().sum() > 0
    assert real.grad is None
    assert fake.grad is None


def test_the_weights_gradient_against_finite_differences(real):
    net = critic().double()

    def penalty(weight: Tensor) -> Tensor:
        # r1 works in float32; the same formula in double through the same call
        images = real.double().requires_grad_()
        logits = torch.func.functional_call(net, {"0.weight": weight}, images)
        (g,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return g.square().flatten(1).sum(1).mean()

    weight = net[0].weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(penalty, weight)
    (expected,) = torch.autograd.grad(penalty(weight), weight)
    (gradient,) = torch.autograd.grad(r1(net.float(), real), net[0].weight)
    torch.testing.assert_close(gradient, expected.float(), rtol=1e-4, atol=1e-7)


def test_autocast_changes_nothing(real, fake):
    net = critic()

    def values() -> list[Tensor]:
        torch.manual_seed(1)
        penalties = [gradient_penalty(net, real, fake), r1(net, real)]
        return penalties + list(torch.autograd.grad(sum(penalties), net.parameters(), allow_unused=True))[:1]

    expected = values()
    with torch.autocast("cpu", torch.bfloat16):
        assert net(real).dtype == torch.bfloat16  # or this test tests nothing
        under_autocast = values()
    for a, b in zip(under_autocast, expected, strict=True):
        assert torch.equal(a, b)


def test_half_precision_images_are_taken(fake):
    real = torch.randn(SHAPE)
    net = critic()
    assert gradient_penalty(net, real.bfloat16(), fake.bfloat16()).dtype == torch.float32
    assert r1(net, real.bfloat16()).item() == r1(net, real.bfloat16().float()).item()


def test_the_networks_here_can_be_penalised():
    for net, images in (
        (DCGANDiscriminator(16, width=4, norm="layer"), torch.randn(2, 3, 16, 16)),
        (DCGANDiscriminator(16, width=4, norm="none"), torch.randn(2, 3, 16, 16)),
        (PatchGAN(3, width=4, receptive_field=16, norm="instance"), torch.randn(2, 3, 16, 16)),
    ):
        (gradient_penalty(net, images, -images) + r1(net, images)).backward()
        assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
        assert net.net[0].weight.grad.any()


@pytest.mark.parametrize(
    "blind",
    [lambda x: torch.zeros(len(x)), lambda x: torch.zeros(len(x), requires_grad=True), lambda x: x.detach().sum()],
)
def test_a_critic_that_does_not_look_at_its_images(blind, real):
    with pytest.raises(ValueError, match="do not depend on the images"):
        r1(blind, real)


def test_without_gradients(real):
    with torch.no_grad(), pytest.raises(ValueError, match=r"outside torch\.no_grad"):
        r1(critic(), real)


def test_shapes_that_differ(real):
    with pytest.raises(ValueError, match=r"\(3, 2, 4, 5\) and fakes \(1, 2, 4, 5\) differ in shape"):
        gradient_penalty(critic(), real, real[:1])
