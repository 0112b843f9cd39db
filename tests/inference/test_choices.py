"""Translators with a choice: targets, attributes relative to a source, styles by a seed or an example."""

from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning.draws import ImageDraws
from gan_lightning.inference import Choice, DomainTranslator, StyleTranslator, Translator
from toys import BrightnessClassifier, DomainNetwork, ExampleNetwork, StyleNetwork

NAMES = ("hat", "beard", "no_beard")  # the last is a name of its own
BLACK = torch.full((2, 1, 4, 4), -1.0)


def attributes(exclusive: Any = ()) -> DomainTranslator:
    return DomainTranslator(DomainNetwork(), NAMES, exclusive, BrightnessClassifier())


def test_a_translator_without_a_choice_refuses_every_choice() -> None:
    plain = Translator(nn.Conv2d(1, 1, 1))
    assert (plain.targets, plain.options, plain.style_dim, plain.takes_example) == ((), (), 0, False)
    assert not plain.has_choice
    for choice in (Choice(to="hat"), Choice(style_seed=0), Choice(example=BLACK[:1])):
        with pytest.raises(ValueError, match=r"takes no (to|style_seed|example) as a choice: leave it out$"):
            plain.translate(BLACK, choice=choice)
    assert torch.equal(plain.translate(BLACK), plain.translate(BLACK, choice=Choice()))


def test_a_domain_is_named_and_the_first_is_the_default() -> None:
    domains = DomainTranslator(DomainNetwork(), ["noto", "fluent", "openmoji"])
    assert domains.has_choice
    assert domains.options == domains.targets
    for place, name in enumerate(domains.targets):
        made = domains.translate(BLACK, choice=Choice(to=name))
        assert torch.equal(made, BLACK / 2 + 2.0 ** -(3 + place))
        assert torch.equal(domains.code_of(BLACK, Choice(to=name)), torch.eye(3)[[place, place]])
    assert torch.equal(domains.translate(BLACK), domains.translate(BLACK, choice=Choice(to="noto")))
    for wrong in ("emoji", "no_noto", "noto+fluent", ""):
        with pytest.raises(ValueError, match=r"noto|fluent"):
            domains.translate(BLACK, choice=Choice(to=wrong))
    with pytest.raises(ValueError, match=r"takes no style_seed as a choice: leave it out, or give to"):
        domains.translate(BLACK, choice=Choice(style_seed=1))


@pytest.mark.parametrize(
    ("to", "from_dark", "from_bright"),
    [
        ("hat", [1, 0, 0], [1, 1, 1]),
        ("no_hat", [0, 0, 0], [0, 1, 1]),
        ("hat+no_no_beard", [1, 0, 0], [1, 1, 0]),
        ("no_beard", [0, 0, 1], [1, 1, 1]),  # a target of this name
        ("no_hat+beard+no_beard", [0, 1, 1], [0, 1, 1]),
        (None, [1, 0, 0], [1, 1, 1]),
    ],
)
def test_attributes_that_are_not_named_stay_as_the_classifier_sees_them(
    to: str | None, from_dark: list[int], from_bright: list[int]
) -> None:
    images = torch.cat([BLACK[:1], -BLACK[:1]])
    assert attributes().code_of(images, Choice(to=to)).tolist() == [from_dark, from_bright]  # type: ignore[union-attr]
    larger = images.repeat_interleave(5, dim=3).repeat_interleave(3, dim=2)  # scaled for the classifier
    assert attributes().code_of(larger, Choice(to=to)).tolist() == [from_dark, from_bright]  # type: ignore[union-attr]


def test_attributes_of_a_group_exclude_each_other() -> None:
    translator = attributes([["beard", "no_beard"]])
    assert translator.switches("beard") == {"beard": True, "no_beard": False}
    assert translator.switches("no_no_beard") == {"no_beard": False}
    with pytest.raises(ValueError, match="asks for beard and no_beard, of which an image has only one"):
        translator.switches("beard+no_beard")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("glasses", "no target 'glasses': its attributes are hat, beard, no_beard, which no_NAME switches off"),
        ("hat+", "no target ''"),
        ("hat+hat", "switches hat twice"),
        ("hat+no_hat", "switches hat twice"),
    ],
)
def test_a_wrong_target_is_named(to: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        attributes().check(Choice(to=to))


def test_targets_that_make_no_sense_are_refused() -> None:
    for how, said in [
        ({"targets": []}, "one at least"),
        ({"targets": ["a", "a"]}, "name each once"),
        ({"targets": ["a", "b"], "exclusive": []}, "attributes need a classifier"),
        ({"targets": ["a"], "exclusive": [["c"]], "classifier": nn.Identity()}, r"groups name \['c'\]"),
    ]:
        with pytest.raises(ValueError, match=said):
            DomainTranslator(DomainNetwork(), **how)  # type: ignore[arg-type]


def test_a_style_is_drawn_by_its_seed_or_for_each_image() -> None:
    styles = StyleTranslator(StyleNetwork())
    assert (styles.style_dim, styles.takes_example, styles.targets) == (2, True, ())
    first, other = (styles.translate(BLACK, choice=Choice(style_seed=seed)) for seed in (0, 1))
    assert torch.equal(first[0], first[1])  # one style for all images
    assert torch.equal(first, styles.translate(BLACK, choice=Choice(style_seed=0)))
    assert not torch.equal(first, other)
    torch.manual_seed(0)
    by_itself = styles.translate(BLACK)
    assert not torch.equal(by_itself[0], by_itself[1])
    torch.manual_seed(0)
    assert torch.equal(styles.translate(BLACK), by_itself)
    with ImageDraws(0, range(2)):
        both = styles.translate(BLACK)
    with ImageDraws(0, [1]):
        assert torch.equal(styles.translate(BLACK[:1]), both[1:])
    with pytest.raises(ValueError, match=r"takes no to as a choice: leave it out, or give style_seed or example"):
        styles.translate(BLACK, choice=Choice(to="hat"))


def test_styles_are_those_of_normal_numbers() -> None:
    codes = StyleTranslator(StyleNetwork()).code_of(torch.zeros(20_000, 1, 2, 2))
    assert codes is not None
    assert codes.mean().abs() < 0.02
    assert (codes.std() - 1).abs() < 0.02


def test_an_example_gives_its_style_to_all_images() -> None:
    styles, example = StyleTranslator(StyleNetwork()), torch.rand(1, 1, 6, 4)
    code = styles.code_of(BLACK, Choice(example=example))
    assert code is not None
    assert torch.equal(code, torch.stack([example.mean(), example.std()]).expand(2, 2))


def test_a_network_that_needs_an_example_takes_the_image_as_its_own() -> None:
    translator = StyleTranslator(ExampleNetwork())
    assert (translator.style_dim, translator.takes_example) == (0, True)
    assert translator.needs_example()
    images = torch.rand(2, 1, 4, 4)
    alone = [translator.translate(each, choice=Choice(example=each)) for each in images.split(1)]
    torch.testing.assert_close(translator.translate(images), torch.cat(alone))
    with pytest.raises(ValueError, match=r"takes no style_seed as a choice: leave it out, or give example"):
        translator.translate(images, choice=Choice(style_seed=0))


def test_directions_may_differ_in_what_they_take() -> None:
    both = StyleTranslator(nn.ModuleDict({"a_to_b": StyleNetwork(), "b_to_a": nn.Conv2d(1, 1, 1)}))
    assert both.code_of(BLACK, direction="b_to_a") is None
    assert both.translate(BLACK, "b_to_a").shape == BLACK.shape
    with pytest.raises(ValueError, match=r"takes no style_seed as a choice: leave it out$"):
        both.translate(BLACK, "b_to_a", Choice(style_seed=0))
    with pytest.raises(ValueError, match="there is no direction 'c'"):
        both.translate(BLACK, "c", Choice(style_seed=0))
