import pytest
import torch
from torch import nn

from gan_lightning.networks.patch_sampler import PatchSampler
from gan_lightning.recording import describe, rebuild


def test_the_published_parameters():
    net = PatchSampler([3, 128, 256, 256, 256])
    assert sum(p.numel() for p in net.parameters()) == 560_384
    assert net.patches == 256


def test_places_are_drawn_anew_without_repetition_and_no_more_than_there_are():
    net, maps = PatchSampler([2, 2], patches=20), [torch.zeros(3, 2, 8, 9), torch.zeros(3, 2, 3, 4)]
    torch.manual_seed(0)
    large, small = net.positions(maps)
    assert len(large) == len(large.unique()) == 20
    assert large.max() > 20  # from all over the map
    assert small.sort().values.tolist() == list(range(12))
    assert not torch.equal(large, net.positions(maps)[0])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_embedding_is_that_of_its_place(layout):
    torch.manual_seed(0)
    net = PatchSampler([5, 3], width=4, patches=6)
    maps = [torch.randn(2, 5, 4, 7).to(memory_format=layout), torch.randn(2, 3, 2, 3)]
    positions = net.positions(maps)
    out = net(maps, positions)
    assert [tuple(x.shape) for x in out] == [(2, 6, 4), (2, 6, 4)]
    for embed, x, places, embedded in zip(net.embeddings, maps, positions, out, strict=True):
        for p, place in enumerate(places.tolist()):
            row, column = divmod(place, x.shape[3])
            torch.testing.assert_close(embedded[:, p], embed(x[:, :, row, column]))


def test_two_layers_with_a_relu_between():
    assert [type(part) for part in PatchSampler([3], width=4).embeddings[0]] == [nn.Linear, nn.ReLU, nn.Linear]


def test_it_is_recorded():
    net = PatchSampler([3, 8], width=4, patches=5)
    again = rebuild(describe(net), ("gan_lightning",))
    again.load_state_dict(net.state_dict())
    assert again.patches == 5


def test_no_layer_is_refused():
    with pytest.raises(ValueError, match="one feature map or more"):
        PatchSampler([])
