"""The speed of samples with kept activations, and of RealNVP's steps."""

from typing import Any

import pytest

from benchmarks import pixels


def test_both_ways_of_sampling_are_measured(capsys: Any) -> None:
    few = ["--batches=1", "--rounds=1", "--batch-size=2", "--width=4", "--layers=1", "--share=200", "--root=."]
    pixels.main(["sampling", *few])
    said = capsys.readouterr().out
    assert "| the whole network for each pixel |" in said
    assert "| activations kept |" in said


def test_ways_that_draw_different_images_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    def values(self: Any, noise: Any, labels: Any = None, cached: bool = True) -> Any:
        return noise.round().long() if cached else noise.round().long() + 1

    monkeypatch.setattr(pixels.AutoregressiveSampler, "values", values)
    with pytest.raises(AssertionError, match="draw different images"):
        pixels.same_images(4, 1)
