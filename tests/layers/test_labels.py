"""Planes of classes and of boundaries, by hand."""

import pytest
import torch

from gan_lightning.data.images import to_float
from gan_lightning.layers.labels import LabelPlanes, boundaries, levels_of


def maps(*rows, instances=None):
    """One label map (1, 1 or 3, H, W) of rows of classes; instances are rows of numbers."""
    classes = torch.tensor(rows, dtype=torch.uint8)
    if instances is None:
        return to_float(classes[None, None])
    numbers = torch.tensor(instances)
    return to_float(torch.stack([classes, (numbers >> 8).byte(), (numbers & 255).byte()])[None])


def test_each_of_256_levels_is_its_class_in_every_precision_of_the_networks():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(levels_of(to_float(levels)), levels.long())
    planes = LabelPlanes(256)(to_float(levels))
    assert planes.shape == (1, 256, 16, 16)
    assert torch.equal(planes.argmax(1), levels[:, 0].long())
    assert (planes.sum(1) == 1).all()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(LabelPlanes(256)(to_float(levels)), planes)


def test_boundaries_by_hand_between_classes_and_between_instances_of_a_class():
    two = maps((0, 0, 1), (0, 0, 1), (0, 0, 0))
    assert boundaries(levels_of(two)).int()[0, 0].tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 1]]
    cars = maps((2, 2, 2, 2), (2, 2, 2, 2), instances=[[1, 1, 300, 300], [1, 1, 300, 300]])
    planes = LabelPlanes(3, boundaries=True)
    assert planes.channels == 4
    assert planes(cars)[0, 3].tolist() == [[0, 1, 1, 0], [0, 1, 1, 0]]
    assert planes(cars)[0, 2].min() == 1
    assert planes(cars[:, :1])[0, 3].max() == 0  # without instances, it is one region


def test_instances_that_differ_in_the_high_byte_alone_are_different():
    assert boundaries(levels_of(maps((0, 0), instances=[[1, 257]]))).all()


def test_levels_without_a_class_are_on_no_plane():
    assert LabelPlanes(3)(maps((0, 3, 200))).sum(1).tolist() == [[[1, 0, 0]]]


def test_images_that_are_no_label_maps():
    for shape in ((1, 2, 4, 4), (1, 4, 4)):
        with pytest.raises(ValueError, match=r"takes label maps of shape \(N, 1, H, W\)"):
            LabelPlanes(3)(torch.zeros(shape))


def test_the_labels_of_files_are_kept_with_the_weights():
    planes = LabelPlanes(3)
    assert planes.table == {0: 0, 1: 1, 2: 2}
    planes.table = {256 + 0xFF0000: 0, 256: 1, 256 + 5: 2, 256 + 6: 2}
    other = LabelPlanes(3)
    other.load_state_dict(planes.state_dict())
    assert other.table == planes.table == {256 + 0xFF0000: 0, 256: 1, 261: 2, 262: 2}
