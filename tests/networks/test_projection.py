import pytest
import torch

from gan_lightning.networks import DCGANDiscriminator
from gan_lightning.networks.projection import Projection
from gan_lightning.recording import describe, rebuild
from gan_lightning.training.generative import TRUSTED


def small(**arguments):
    return DCGANDiscriminator(16, channels=1, width=4, norm="spectral", **arguments)


def test_a_label_adds_the_projection_of_the_features_on_its_embedding():
    net = Projection(small(), num_classes=3).eval()
    images, labels = torch.randn(2, 1, 16, 16), torch.tensor([2, 0])
    expected = net.discriminator(images) + (net.embedding.weight[labels] * net.discriminator.features(images)).sum(1)
    torch.testing.assert_close(net(images, labels), expected)
    assert not net(images, labels).allclose(net(images, labels.flip(0)))


def test_every_weight_is_learned_and_stored_once():
    net = Projection(small(), num_classes=3)
    net(torch.randn(3, 1, 16, 16), torch.tensor([0, 1, 2])).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    storages = [t.data_ptr() for t in net.state_dict().values()]
    assert len(storages) == len(set(storages))


def test_it_is_rebuilt_from_its_record_with_the_discriminator_inside():
    net = Projection(small(), num_classes=3).eval()
    again = rebuild(describe(net), TRUSTED).eval()
    again.load_state_dict(net.state_dict())
    images, labels = torch.randn(2, 1, 16, 16), torch.tensor([2, 0])
    assert torch.equal(net(images, labels), again(images, labels))


def test_a_discriminator_that_takes_labels_is_refused():
    with pytest.raises(ValueError, match="DCGANDiscriminator takes 5 classes itself"):
        Projection(small(num_classes=5), num_classes=5)


def test_labels_are_needed():
    with pytest.raises(ValueError, match="labels"):
        Projection(small(), num_classes=3)(torch.randn(2, 1, 16, 16))
