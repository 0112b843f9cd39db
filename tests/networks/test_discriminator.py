"""The output of a discriminator: the parts of a batch that holds real images and fakes."""

import torch

from gan_lightning.networks.discriminator import DiscriminatorOutput


def test_the_halves_of_an_output_are_those_of_both_batches() -> None:
    scales = [torch.arange(6.0), torch.arange(24.0).view(6, 1, 2, 2)]
    layers = [[torch.arange(12.0).view(6, 2)]]
    whole = DiscriminatorOutput(scales, layers, torch.arange(18.0).view(6, 3))
    for rows, half in zip((slice(0, 3), slice(3, 6)), whole.halves(), strict=True):
        assert all(torch.equal(part, each[rows]) for part, each in zip(half.logits, scales, strict=True))
        assert torch.equal(half.features[0][0], layers[0][0][rows])
        assert torch.equal(half.class_logits, whole.class_logits[rows])  # type: ignore[arg-type, index]


def test_a_part_that_was_not_requested_stays_empty() -> None:
    first, second = DiscriminatorOutput([torch.zeros(2)]).halves()
    assert (first.features, first.class_logits) == ([], None) == (second.features, second.class_logits)
