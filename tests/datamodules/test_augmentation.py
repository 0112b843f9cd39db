import pytest
import torch
from torch import Tensor

from datamodules.augmentation import BatchDraws, augment, centre_crop
from gan_lightning.data.batches import CaptionedBatch, ImageBatch, PairedBatch, UnpairedBatch


def coordinates(count: int, height: int, width: int) -> Tensor:
    """Return images whose pixels are the numbers of their image, row and column: (N, 3, H, W)."""
    grid = torch.meshgrid(torch.arange(count), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(grid, dim=1).float()


def draws(count: int, **how) -> BatchDraws:
    return BatchDraws((0, 0, count), count, **how)


def test_each_image_is_one_window_of_itself_and_all_windows_occur():
    images = augment(ImageBatch(coordinates(400, 5, 6)), (4, 4), True, draws(400)).images
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
    source, target = augment(PairedBatch(whole, whole[:, 1:]), (5, 5), True, draws(64))
    assert torch.equal(source[:, 1:], target)
    assert len(source[:, 1, 0, 0].unique()) == 5


def test_unpaired_images_are_cut_each_for_itself():
    whole = coordinates(64, 9, 8)
    real_a, real_b = augment(UnpairedBatch(whole, whole), (5, 5), True, draws(64))
    assert not torch.equal(real_a[:, 1], real_b[:, 1])
    assert not torch.equal(real_a[:, 2].diff(dim=-1), real_b[:, 2].diff(dim=-1))


@pytest.mark.parametrize("flip", [True, False])
def test_mirroring_happens_only_if_asked_and_half_of_the_time(flip):
    step = augment(ImageBatch(coordinates(1000, 4, 4)), (3, 3), flip, draws(1000)).images[:, 2].diff(dim=-1)[:, 0, 0]
    assert (step == -1).sum().item() == pytest.approx(500 if flip else 0, abs=60 if flip else 0)


def test_a_batch_without_a_choice_stays_as_it_is():
    batch = ImageBatch(coordinates(4, 3, 3), torch.arange(4))
    assert augment(batch, (3, 3), False, draws(4)) is batch


def test_draws_belong_to_an_item_on_any_number_of_ranks_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    whole = draws(12)
    drawn = whole.integers(-5, 9), whole.uniform(2), whole.normal(3, 1)
    for ranks in (2, 4):
        for rank in range(ranks):
            share = BatchDraws((0, 0, 12), 12 // ranks, rank, ranks)
            own = slice(rank * 12 // ranks, (rank + 1) * 12 // ranks)
            for here, there in zip((share.integers(-5, 9), share.uniform(2), share.normal(3, 1)), drawn, strict=True):
                assert torch.equal(here, there[own])
    assert not torch.equal(draws(12).uniform(), BatchDraws((0, 0, 24), 12).uniform())
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_and_captions_stay():
    labels, captions = torch.arange(4), torch.rand(4, 7)
    assert augment(ImageBatch(coordinates(4, 5, 5), labels), (3, 3), True, draws(4)).labels is labels
    assert augment(CaptionedBatch(coordinates(4, 5, 5), captions), (3, 3), True, draws(4)).captions is captions


def test_the_middle_is_cut_for_evaluation():
    batch = centre_crop(PairedBatch(coordinates(2, 8, 7), coordinates(2, 8, 7)), (4, 3))
    for images in batch:
        assert images.shape == (2, 3, 4, 3)
        assert images[0, 1:, 0, 0].tolist() == [2, 2]
