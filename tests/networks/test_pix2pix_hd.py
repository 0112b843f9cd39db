"""pix2pixHD's networks: coarse and fine sizes, instance features, and the choice among their clusters."""

import pytest
import torch
from torch import nn

from gan_lightning.data.images import to_float
from gan_lightning.networks import InstanceEncoder, Pix2PixHDGenerator
from gan_lightning.networks.pix2pix_hd import instance_means

SMALL = {"num_classes": 3, "width": 8, "halvings": 2, "blocks": 1}


def maps(count=2, height=32, width=48, channels=3, seed=0):
    levels = torch.randint(0, 3, (count, channels, height, width), generator=torch.Generator().manual_seed(seed))
    return to_float(levels.to(torch.uint8))


def test_the_coarse_generator_is_a_part_of_the_fine_one_under_the_same_names():
    coarse, fine = Pix2PixHDGenerator(**SMALL), Pix2PixHDGenerator(**SMALL, enhancers=1)
    shared = {name: p.shape for name, p in coarse.named_parameters() if name.startswith("coarse.")}
    assert shared.items() <= {name: p.shape for name, p in fine.named_parameters()}.items()
    rest = {name for name, _ in coarse.named_parameters()} - shared.keys()
    assert {name.rpartition(".")[0] for name in rest} == {"to_image.coarse.0"}
    assert not any(name.startswith("to_image.coarse") for name, _ in fine.named_parameters())


def test_the_enhancer_adds_the_features_of_the_coarse_one_at_half_the_size():
    torch.manual_seed(0)
    fine = Pix2PixHDGenerator(**SMALL, enhancers=1)
    seen = {}
    fine.coarse.register_forward_hook(lambda _, args, out: seen.update(planes=args[0], features=out))
    fine.enhancer_downs[0].register_forward_hook(lambda _, args, out: seen.update(whole=args[0], own=out))
    fine.enhancer_ups[0].register_forward_hook(lambda _, args, out: seen.update(both=args[0]))
    source = maps()
    assert fine(source).shape == (2, 3, 32, 48)
    assert torch.equal(seen["whole"], fine.planes(source))
    pool = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
    torch.testing.assert_close(seen["planes"], pool(seen["whole"]))
    torch.testing.assert_close(seen["both"], seen["own"] + seen["features"])
    assert seen["features"].shape == (2, 8, 16, 24)


@pytest.mark.parametrize("enhancers", [0, 1, 2])
def test_the_smallest_and_other_sizes(enhancers):
    net = Pix2PixHDGenerator(**SMALL, enhancers=enhancers)
    side = net.minimum
    assert net(maps(1, side, side + net.multiple)).shape == (1, 3, side, side + net.multiple)
    for height in (side - net.multiple, side + 1):
        with pytest.raises(ValueError, match=f"at least {side} and multiples of {net.multiple}"):
            net(maps(1, height, side))


def test_a_fixed_coarse_generator_gets_no_gradient():
    net = Pix2PixHDGenerator(**SMALL, enhancers=1)
    net.coarse_is_fixed = True
    net(maps()).sum().backward()
    assert all((p.grad is None) == name.startswith("coarse.") for name, p in net.named_parameters())


def test_means_over_instances_by_hand():
    # two images; in the first, instance 0 of class 1 at two places, and instance 300 beside it
    classes = torch.tensor([[[1, 1, 1]], [[1, 1, 2]]])
    numbers = torch.tensor([[[0, 300, 0]], [[0, 0, 0]]])
    source = to_float(torch.stack([classes, numbers >> 8, numbers & 255], dim=1).to(torch.uint8))
    values = torch.tensor([[[[1.0, 5.0, 3.0]]], [[[2.0, 4.0, 9.0]]]]).requires_grad_()
    means = instance_means(values, source)
    assert means.tolist() == [[[[2, 5, 2]]], [[[3, 3, 9]]]]
    means[0, 0, 0, 0].backward()
    assert values.grad.flatten().tolist() == [0.5, 0, 0.5, 0, 0, 0]
    assert instance_means(values, source[:, :1]).tolist() == [[[[3, 3, 3]]], [[[3, 3, 9]]]]


def test_features_are_one_vector_an_instance():
    torch.manual_seed(0)
    encoder, source = InstanceEncoder(features=2, width=2, halvings=2), maps()
    features = encoder(torch.rand(2, 3, 32, 48) * 2 - 1, source)
    assert features.shape == (2, 2, 32, 48)
    levels = ((source + 1) * 127.5).round().long()
    inside = (levels == levels[:, :, :1, :1]).all(dim=1)[0]
    assert len(features[0][:, inside].T.unique(dim=0)) == 1


def test_a_code_chooses_a_centre_of_each_class_with_equal_probability():
    torch.manual_seed(0)
    net = Pix2PixHDGenerator(**SMALL, features=2, clusters=4)
    assert net.style_dim == 3
    net.centres.normal_()
    net.found.copy_(torch.tensor([1, 2, 4]))
    planes = net.planes(maps(1))
    classes = planes[:, :3].argmax(1)[0]
    seen = {number: [] for number in range(3)}
    for _ in range(400):
        features = net.chosen(planes, torch.randn(1, 3))[0]
        for number in range(3):
            (vector,) = features[:, classes == number].T.unique(dim=0)
            seen[number].append(int((net.centres[number] - vector).abs().sum(1).argmin()))
            assert torch.equal(net.centres[number, seen[number][-1]], vector)
    assert set(seen[0]) == {0}
    for number, count in ((1, 2), (2, 4)):
        shares = torch.tensor(seen[number]).bincount(minlength=4) / 400
        assert (shares[:count] - 1 / count).abs().max() < 0.1
        assert not shares[count:].any()
    assert net.chosen(planes, torch.full((1, 3), 1e9)).isfinite().all()
    with pytest.raises(ValueError, match="takes features of instances and was given none"):
        net(maps())
