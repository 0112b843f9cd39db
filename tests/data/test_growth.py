"""Size, alpha and batch size as functions of the images seen."""

from typing import Any

import pytest

from gan_lightning.data.growth import Growth
from gan_lightning.recording import describe, rebuild
from growing import GROWTH


def test_a_growth_is_what_the_paper_says() -> None:
    growth = Growth(4, 1024, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32}, 600_000, 600_000)
    assert growth.levels == 8
    assert growth.ends == 9_600_000  # and 12 million images in all
    seen = [0, 599_999, 600_000, 900_000, 1_200_000, 1_800_000, 2_100_000, 9_000_000, 9_599_999, 9_600_000, 10**9]
    assert [growth.size(n)[0] for n in seen] == [4, 4, 8, 8, 8, 16, 16, 1024, 1024, 1024, 1024]
    assert [growth.alpha(n) for n in seen] == pytest.approx([1, 1, 0, 0.5, 1, 0, 0.5, 0, 1, 1, 1], abs=1e-5)
    assert [growth.batch_size(n) for n in seen] == [512, 512, 256, 256, 256, 128, 128, 32, 32, 32, 32]
    assert rebuild(describe(growth), ("gan_lightning",)).batch_sizes == growth.batch_sizes
    assert Growth(8, 8, {8: 4}).ends == 0
    assert Growth(4, 8, {4: 4}, fade_images=0, stable_images=10).alpha(10) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"final_size": 24}, "final_size=24 is not start_size=4 doubled some times: make it 16 or 32"),
        ({"final_size": 2}, "final_size=2 is not start_size=4 doubled some times: make it 4 or 8"),
        ({"batch_sizes": {8: 4}}, "batch_sizes names the heights 8: name 4 too, with which the growth starts"),
        (
            {"batch_sizes": {4: 4, 12: 2}},
            "names the heights 4, 12, and the images have 4, 8, 16: name only",
        ),
        ({"batch_sizes": {4: 0}}, "out of range: make it 1 or more"),
        ({"rates": {4: 1.0, 32: 2.0}}, "rates names the heights 4, 32, and the images have 4, 8, 16: name only these"),
        ({"rates": {4: 0.0}}, "out of range: make it above 0"),
        ({"start_size": (4, 6)}, r"final_size=16 is not start_size=\(4, 6\) .* make it \(16, 24\) or \(32, 48\)"),
        ({"start_size": (4, 6, 8)}, "start_size must be one number of pixels, or height and width"),
        ({"stable_images": 0}, "stable_images=0 is out of range: make it 1 or more"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Growth(**GROWTH | wrong)


def test_a_rectangle_grows_too() -> None:
    growth = Growth((4, 6), [16, 24], {4: 8, 16: 2}, fade_images=10, stable_images=10, rates={8: 1.5})
    assert growth.sizes == [(4, 6), (8, 12), (16, 24)]
    assert growth.batch_sizes == {4: 8, 8: 8, 16: 2}
    assert growth.rates == {4: 1, 8: 1.5, 16: 1.5}
    assert [growth.behind(n) for n in (0, 10, 30)] == [2, 1, 0]
    again = rebuild(describe(growth), ("gan_lightning",))
    assert (again.sizes, again.rates) == (growth.sizes, growth.rates)


def test_a_phase_begins_and_ends_with_each_fade() -> None:
    growth = Growth(4, 16, {4: 1}, fade_images=10, stable_images=5)
    assert [growth.phase(n) for n in (0, 4, 5, 14, 15, 19, 20, 29, 30, 99)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    at_once = Growth(4, 16, {4: 1}, fade_images=0, stable_images=5)
    assert [at_once.phase(n) for n in (0, 5, 10)] == [0, 2, 4]
