"""The pool of earlier fakes, as published: fill first; then, half of the time, swap with one of those kept."""

import pytest
import torch
from torch import Tensor

from gan_lightning.training.image_pool import ImagePool


def numbered(*numbers: int) -> Tensor:
    """Return images of different brightness."""
    return torch.tensor([float(n) for n in numbers]).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def names(images: Tensor) -> list[int]:
    return images[:, 0, 0, 0].int().tolist()


def test_it_fills_first_handing_back_what_comes_in() -> None:
    torch.manual_seed(0)
    pool = ImagePool(4)
    state = torch.get_rng_state()
    for i in range(4):
        assert names(pool.exchange(numbered(i))) == [i]
    assert names(pool.images) == [0, 1, 2, 3]
    assert torch.equal(state, torch.get_rng_state())  # nothing is drawn yet


def test_a_batch_may_fill_it_and_go_on() -> None:
    torch.manual_seed(0)
    pool = ImagePool(3)
    out = pool.exchange(numbered(*range(40)))
    assert names(out)[:3] == [0, 1, 2]
    assert len(pool.images) == 3
    # each image is handed out or still kept; an image of a batch may be handed out again later in the same batch
    assert set(names(out)) | set(names(pool.images)) == set(range(40))


def test_nothing_is_lost_and_nothing_made_up() -> None:
    """Each image that enters the pool leaves it or stays, over all images of a run."""
    torch.manual_seed(0)
    pool = ImagePool(5)
    pool.exchange(numbered(*range(5)))  # handed back and kept: counted as kept
    out: list[int] = []
    for i in range(5, 200):
        out += names(pool.exchange(numbered(i)))
    assert sorted(out + names(pool.images)) == list(range(200))


def test_half_of_the_images_are_swapped_and_every_place_alike() -> None:
    torch.manual_seed(0)
    pool = ImagePool(10)
    pool.exchange(numbered(*range(10)))
    swaps, places = 0, torch.zeros(10)
    for i in range(10, 4010):
        before = names(pool.images)
        (got,) = names(pool.exchange(numbered(i)))
        after = names(pool.images)
        changed = [place for place in range(10) if before[place] != after[place]]
        if got == i:
            assert not changed
        else:
            (place,) = changed
            assert (before[place], after[place]) == (got, i)
            swaps += 1
            places[place] += 1
    # both bounds are five standard deviations off
    assert 2000 - 160 < swaps < 2000 + 160
    assert (places - swaps / 10).abs().max() < 5 * (swaps / 10) ** 0.5


def test_no_graph_is_kept_and_what_comes_in_is_left_alone() -> None:
    torch.manual_seed(0)
    pool = ImagePool(2)
    for _ in range(10):
        images = numbered(7).requires_grad_() * 1
        out = pool.exchange(images)
        assert not out.requires_grad
        assert not pool.images.requires_grad
        out.zero_()
        pool.images.mul_(1)
        assert names(images.detach()) == [7]
        assert 0 not in names(pool.images)


def test_without_a_pool_the_newest_pass_through_detached() -> None:
    pool = ImagePool(0)
    images = numbered(1, 2).requires_grad_()
    out = pool.exchange(images)
    assert torch.equal(out, images)
    assert not out.requires_grad
    assert pool.images is None


def test_it_follows_the_precision_of_what_comes_in() -> None:
    pool = ImagePool(2)
    pool.exchange(numbered(1, 2).bfloat16())
    assert pool.exchange(numbered(3)).dtype == torch.float32


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="holds 0 images or more, not -1"):
        ImagePool(-1)


def test_a_pool_made_smaller_on_a_resume_keeps_as_many_as_it_holds() -> None:
    torch.manual_seed(0)
    pool = ImagePool(2)
    pool.images = numbered(*range(6))  # what a checkpoint of a run with a pool of 6 holds
    for i in range(6, 16):
        pool.exchange(numbered(i))
    assert len(pool.images) == 2


def test_a_pool_goes_on_from_another_ones_state() -> None:
    torch.manual_seed(0)
    pool, other = ImagePool(3), ImagePool(3)
    other.load_state_dict(pool.state_dict())
    assert names(other.exchange(numbered(1, 2))) == [1, 2]  # of an empty one: it fills
    pool.exchange(numbered(*range(5)))
    other.load_state_dict(pool.state_dict())
    assert torch.equal(other.images, pool.images)
    assert not pool.state_dict()["images"].requires_grad


def test_a_full_pool_is_not_copied() -> None:
    pool = ImagePool(3)
    pool.exchange(numbered(1, 2, 3))
    place = pool.images.data_ptr()
    for i in range(4, 14):
        pool.exchange(numbered(i))
    assert pool.images.data_ptr() == place
