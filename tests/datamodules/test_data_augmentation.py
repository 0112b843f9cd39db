import pytest
import torch
from torch import Tensor

from datamodules.augmentation import augment, centre_crop
from gan_lightning.batches import CaptionedBatch, ImageBatch, PairedBatch, UnpairedBatch


def coordinates(count: int, height: int, width: int) -> Tensor:
    """Images whose pixels hold which image, row and column they are of: (N, 3, H, W)."""
    grid = torch.meshgrid(torch.arange(count), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(grid, dim=1).float()


def test_each_image_is_one_window_of_itself_and_all_windows_occur():
    torch.manual_seed(0)
    images = augment(ImageBatch(coordinates(400, 5, 6)), (4, 4), flip=True).images
    assert images.shape == (400, 3, 4, 4)
    number, row, column = images.unbind(1)
    assert torch.equal(number, torch.arange(400.0).view(-1, 1, 1).expand(-1, 4, 4))
    assert (row.diff(dim=1) == 1).all()
    assert (row.diff(dim=2) == 0).all()
    step = column.diff(dim=2)
    assert (step == step[:, :1, :1]).all()
    seen = {(int(r), int(c), int(s)) for r, c, s in zip(row[:, 0, 0], column.amin((1, 2)), step[:, 0, 0], strict=True)}
    assert seen == {(top, left, sign) for top in range(2) for left in range(3) for sign in (-1, 1)}


def test_both_images_of_a_pair_are_cut_alike():
    whole = coordinates(64, 9, 8)
    source, target = augment(PairedBatch(whole, whole[:, 1:]), (5, 5), flip=True)
    assert torch.equal(source[:, 1:], target)
    assert len(source[:, 1, 0, 0].unique()) == 5


def test_unpaired_images_are_cut_each_for_itself():
    whole = coordinates(64, 9, 8)
    real_a, real_b = augment(UnpairedBatch(whole, whole), (5, 5), flip=True)
    assert not torch.equal(real_a[:, 1], real_b[:, 1])
    assert not torch.equal(real_a[:, 2].diff(dim=-1), real_b[:, 2].diff(dim=-1))


@pytest.mark.parametrize("flip", [True, False])
def test_mirroring_happens_only_if_asked_and_half_of_the_time(flip):
    torch.manual_seed(0)
    step = augment(ImageBatch(coordinates(1000, 4, 4)), (3, 3), flip).images[:, 2].diff(dim=-1)[:, 0, 0]
    assert (step == -1).sum().item() == pytest.approx(500 if flip else 0, abs=60 if flip else 0)


def test_nothing_is_drawn_where_there_is_nothing_to_choose():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batch = ImageBatch(coordinates(4, 3, 3), torch.arange(4))
    assert augment(batch, (3, 3), flip=False) is batch
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_and_captions_stay():
    labels, captions = torch.arange(4), torch.rand(4, 7)
    assert augment(ImageBatch(coordinates(4, 5, 5), labels), (3, 3), flip=True).labels is labels
    assert augment(CaptionedBatch(coordinates(4, 5, 5), captions), (3, 3), flip=True).captions is captions


def test_the_middle_is_cut_for_evaluation():
    batch = centre_crop(PairedBatch(coordinates(2, 8, 7), coordinates(2, 8, 7)), (4, 3))
    for images in batch:
        assert images.shape == (2, 3, 4, 3)
        assert images[0, 1:, 0, 0].tolist() == [2, 2]
