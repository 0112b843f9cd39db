import math
from itertools import chain, islice

import numpy as np
import pytest
import torch

from datamodules.loader import ReferenceLoader, TrainingLoader
from datamodules.storage import ImageStorage, Pixels, UnpairedStorage
from gan_lightning.data.batches import Fingerprinted
from gan_lightning.data.growth import Growth
from growing import GROWTH


def storage(count: int) -> ImageStorage:
    """Images of one pixel that hold their own number."""
    return ImageStorage(Pixels(np.arange(count, dtype=np.uint16).reshape(count, 1, 1, 1)))


def numbers(batches) -> list[list[int]]:
    return [batch.images.flatten().tolist() for batch in batches]


def test_an_epoch_has_every_item_at_most_once_and_the_next_one_another_order():
    loader = TrainingLoader(storage(22), batch_size=4)
    first, second = numbers(loader), numbers(loader)
    for epoch in (first, second):
        assert [len(batch) for batch in epoch] == [4] * 5
        assert len(set(chain(*epoch))) == 20
    assert first != second
    assert list(chain(*first)) != sorted(chain(*first))


def test_the_order_depends_on_the_seed_alone_and_leaves_global_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    one = numbers(TrainingLoader(storage(20), 4, seed=1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    torch.manual_seed(9)
    assert numbers(TrainingLoader(storage(20), 4, seed=1)) == one
    assert numbers(TrainingLoader(storage(20), 4, seed=2)) != one


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_ranks_together_train_on_what_one_rank_would(world_size):
    alone = numbers(TrainingLoader(storage(40), 6))
    ranks = [numbers(TrainingLoader(storage(40), 6, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert [list(chain(*shares)) for shares in zip(*ranks, strict=True)] == alone


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 8, 9, 10, 13])
def test_ranks_together_evaluate_every_item_exactly_once(count, world_size):
    ranks = [ReferenceLoader(storage(count), 4, (1, 1), rank, world_size) for rank in range(world_size)]
    batches = [numbers(loader) for loader in ranks]
    assert list(chain(*chain(*batches))) == list(range(count))  # rank after rank, in order
    assert [len(loader) for loader in ranks] == [len(shares) for shares in batches]
    assert all(share for shares in batches for share in shares)
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
    assert len({loader.fingerprint for loader in ranks}) == 1


def test_evaluation_starts_anew_each_time_and_keeps_the_order():
    loader = ReferenceLoader(storage(10), 4, (1, 1))
    next(iter(loader))
    assert numbers(loader) == numbers(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_reference_has_a_fingerprint_that_knows_the_image_size():
    loader = ReferenceLoader(storage(4), 4, (8, 8))
    assert isinstance(loader, Fingerprinted)
    assert loader.fingerprint == ReferenceLoader(storage(4), 2, (8, 8)).fingerprint
    assert loader.fingerprint != ReferenceLoader(storage(4), 4, (8, 6)).fingerprint
    assert loader.fingerprint != ReferenceLoader(storage(5), 4, (8, 8)).fingerprint


@pytest.mark.parametrize("stop", range(13))
def test_a_stream_goes_on_from_any_state_exactly(stop):
    whole = TrainingLoader(storage(22), 4)
    batches = [batch for _ in range(4) for batch in numbers(whole)]
    stopped = TrainingLoader(storage(22), 4)
    for _ in range(stop // 5):
        list(stopped)
    list(islice(stopped, stop % 5))
    state = stopped.state_dict()
    assert all(type(value) is int for value in state.values())
    resumed = TrainingLoader(storage(22), 4, rank=0, world_size=1)
    resumed.load_state_dict(state)
    assert [batch for _ in range(2) for batch in numbers(resumed)][:7] == batches[stop : stop + 7]


def test_a_state_holds_for_any_number_of_ranks():
    alone = TrainingLoader(storage(40), 4)
    list(islice(alone, 3))
    ranks = [TrainingLoader(storage(40), 4, rank=rank, world_size=2) for rank in (0, 1)]
    for loader in ranks:
        loader.load_state_dict(alone.state_dict())
    expected = numbers(islice(alone, 2))
    assert [a + b for a, b in zip(*(numbers(islice(loader, 2)) for loader in ranks), strict=True)] == expected


def test_unpaired_domains_share_one_stream():
    domains = [Pixels(np.arange(count, dtype=np.uint16).reshape(count, 1, 1, 1)) for count in (3, 8)]
    loader = TrainingLoader(UnpairedStorage(*domains), 4)
    assert len(loader) == 2
    assert sorted(number for batch in loader for number in batch.real_b.flatten().tolist()) == list(range(8))


def test_impossible_batches_are_refused():
    with pytest.raises(ValueError, match=r"batch_size=6 .* 4 ranks .* multiple of 4"):
        TrainingLoader(storage(40), 6, world_size=4)
    with pytest.raises(ValueError, match="batch_size=0"):
        TrainingLoader(storage(40), 0)
    with pytest.raises(ValueError, match=r"3 of the images .* less than one batch of 4: make batch_size 3 or less"):
        TrainingLoader(storage(3), 4)
    with pytest.raises(ValueError, match=r"eval_batch_size=2 .* 4 ranks"):
        ReferenceLoader(storage(40), 2, (1, 1), world_size=4)


def growing(count: int = 25, **share: int) -> TrainingLoader:
    return TrainingLoader(storage(count), 99, growth=Growth(**GROWTH), **share)


def test_batches_are_as_large_as_the_images_handed_out_say_and_epochs_as_long() -> None:
    stream, growth, seen = growing(), Growth(**GROWTH), 0
    for _ in range(4):
        length, epoch = len(stream), numbers(stream)
        assert length == len(epoch)
        assert len({*chain(*epoch)}) == sum(map(len, epoch))  # none twice
        for batch in epoch:
            assert len(batch) == growth.batch_size(seen)
            seen += len(batch)
    assert [stream.extent(epochs, math.inf)[1:] for epochs in (1, 2)] == [(6, 24), (18, 48)]
    assert stream.extent(4, math.inf) == (4, 42, seen)
    assert stream.extent(math.inf, 12) == (1.5, 12, 36)
    assert stream.extent(3, math.inf, limit=4) == (3, 12, 36)


@pytest.mark.parametrize("stop", range(1, 20))
def test_a_growing_stream_goes_on_from_any_state_on_any_number_of_ranks(stop: int) -> None:
    whole, stopped = growing(), growing()
    batches = [batch for _ in range(4) for batch in numbers(whole)]
    handed = 0
    while handed < stop:
        handed += len(numbers(islice(stopped, stop - handed)))
    ranks = [growing(rank=rank, world_size=2) for rank in range(2)]
    for each in ranks:
        each.load_state_dict(stopped.state_dict())
        assert len(each) == len(stopped)
    shares = [[batch for _ in range(4) for batch in numbers(each)] for each in ranks]
    assert [a + b for a, b in zip(*shares, strict=True)][: 42 - stop] == batches[stop:]


def test_what_a_growing_stream_cannot_do_is_said() -> None:
    with pytest.raises(ValueError, match=r"growth.batch_sizes\[4\]=6 counts .* 4 ranks cannot share"):
        growing(world_size=4)
    with pytest.raises(ValueError, match=r"less than one batch of 6: make growth.batch_sizes\[4\] 5 or less"):
        growing(5)
    with pytest.raises(ValueError, match=r"does not say where its data were .* for a model that grows"):
        growing().load_state_dict({"epoch": 0, "position": 4})
