import numpy as np
import pytest
import torch

from datamodules.storage import ImageStorage, PairedStorage, Pixels, UnpairedStorage, digest


def numbered(count: int, start: int = 0) -> Pixels:
    """Images of one pixel that hold their own number."""
    return Pixels(np.arange(start, start + count, dtype=np.uint16).reshape(count, 1, 1, 1))


def test_a_fingerprint_names_values_shape_dtype_order_and_labels():
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    pixels = Pixels(values)
    names = {
        ImageStorage(pixels).fingerprint,
        ImageStorage(Pixels(values[::-1])).fingerprint,
        ImageStorage(Pixels(values.reshape(2, 3, 4, 1))).fingerprint,
        ImageStorage(Pixels(values.view(np.uint16))).fingerprint,
        ImageStorage(pixels, torch.tensor([0, 1])).fingerprint,
        ImageStorage(pixels, torch.tensor([1, 0])).fingerprint,
        ImageStorage(pixels.subset(np.array([1, 0]))).fingerprint,
        PairedStorage(pixels, Pixels(values + 1)).fingerprint,
        PairedStorage(Pixels(values + 1), pixels).fingerprint,
    }
    assert len(names) == 9
    assert ImageStorage(Pixels(values.copy())).fingerprint == pixels.fingerprint
    # the same on any machine: a change of this value would make every feature cache stale
    assert digest(np.arange(3, dtype=np.uint8), "a") == "6e9284466e2477205cc61a072d5623e8"


def test_a_batch_is_a_copy_of_the_rows_asked_for():
    storage = ImageStorage(numbered(10), torch.arange(10) * 2)
    images, labels = storage.batch(torch.tensor([7, 0, 7]))
    assert images.dtype == torch.uint16
    assert images.flatten().tolist() == [7, 0, 7]
    assert labels is not None
    assert labels.tolist() == [14, 0, 14]
    images.zero_()
    assert storage.batch(torch.tensor([7])).images.item() == 7


def test_a_subset_of_a_subset_has_the_right_rows():
    storage = ImageStorage(numbered(10), torch.arange(10)).subset(np.array([8, 6, 4, 2])).subset(np.array([3, 0]))
    images, labels = storage.batch(storage.order())
    assert images.flatten().tolist() == [2, 8]
    assert labels is not None
    assert labels.tolist() == [2, 8]


def test_pairs_stay_pairs_when_shuffled():
    storage = PairedStorage(numbered(20), numbered(20, start=100))
    source, target = storage.batch(storage.order(np.random.default_rng(0)))
    assert source.flatten().tolist() != list(range(20))
    assert (target.int() - source.int()).unique().tolist() == [100]


def test_unpaired_domains_are_shuffled_each_for_itself_and_the_smaller_one_comes_round_again():
    storage = UnpairedStorage(numbered(4), numbered(10))
    real_a, real_b = (domain.flatten().tolist() for domain in storage.batch(storage.order(np.random.default_rng(0))))
    assert sorted(real_b) == list(range(10))
    assert sorted(real_a[:4]) == sorted(real_a[4:8]) == [0, 1, 2, 3]
    assert real_a[:4] != real_a[4:8]
    equal = UnpairedStorage(numbered(50), numbered(50))
    real_a, real_b = (domain.flatten().tolist() for domain in equal.batch(equal.order(np.random.default_rng(0))))
    assert real_a != real_b


def test_labels_and_targets_must_be_as_many_as_images():
    with pytest.raises(ValueError, match="3 images have 2 labels"):
        ImageStorage(numbered(3), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="3 sources have 4 targets"):
        PairedStorage(numbered(3), numbered(4))
