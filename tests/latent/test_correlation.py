"""The regression of attributes on one that is moved: closed forms, coverage, shares, and the command."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.classifiers import Classifier
from gan_lightning.data.images import to_float, to_uint8, write_png
from gan_lightning.latent import image_names
from gan_lightning.latent.commands.attributes import correlate
from gan_lightning.latent.correlation import Share, changes, ranked, relate, relation_figure, share_figure, shares
from gan_lightning.latent.editing import log_odds
from latent.worlds import world
from toys import read_png

HOW: dict[str, Any] = {"trusted": ["toys"], "device": "cpu"}


def test_the_moved_attribute_is_removed_by_its_number_and_signs_are_kept() -> None:
    covariance = torch.tensor([[10, 2, -0.5, 5], [2, 1, 0, 0]])
    assert ranked(covariance[0], 0) == [3, 1, 2]
    assert ranked(covariance[0], 1) == [0, 3, 2]  # another has the largest
    random = torch.Generator().manual_seed(0)
    x = torch.randn(5, 40, 1, generator=random)
    found = relate(torch.cat([x, 2 * x, -3 * x], 2), ["a", "b", "c"], 0).found
    assert [each.name for each in found] == ["c", "b"]
    assert found[0].covariance < 0 < found[1].covariance
    assert [each.slope for each in found] == pytest.approx([-3, 2])
    assert [each.correlation for each in found] == pytest.approx([-1, 1])


def test_a_linear_world_gives_back_its_slopes_and_covariances() -> None:
    """Along Mᵀe_t, log odds change in the ratio of (M Mᵀ)_jt to (M Mᵀ)_tt, and the same for every image."""
    space, classifier, M = world()
    names = image_names("0:0-19")
    values = changes(space, classifier, 1, space.points(names), names, steps=6, lr=0.05)
    assert values.shape == (13, 20, 4)
    assert (values[0] == 0).all()
    assert (values[6, :, 1] > 0).all()
    assert (values[12, :, 1] < 0).all()
    products = (M @ M.T)[1].double()
    found = {each.name: each for each in relate(values, classifier.names, 1).found}
    assert "a1" not in found
    for j in (0, 2, 3):
        relation = found[f"a{j}"]
        assert relation.slope == pytest.approx(float(products[j] / products[1]), abs=1e-4)
        low, high = relation.slope_interval
        assert low == pytest.approx(high, abs=1e-4)
        expected = float(values[:, :, 1].double().var(correction=0) * products[j] / products[1])
        assert relation.covariance == pytest.approx(expected, rel=1e-3)
        assert abs(relation.correlation) == pytest.approx(1, abs=1e-4)


def test_bands_are_over_images_and_cover_the_truth() -> None:
    """Steps of an image share a slope of its own; the mean slope lies in 95 % of the intervals, not in a few."""
    random = torch.Generator().manual_seed(2)
    hit, width = 0, 0.0
    for seed in range(60):
        x = torch.linspace(-1, 1, 21).view(-1, 1).expand(21, 40)
        own = 0.5 + torch.randn(40, generator=random)
        values = torch.stack([x, own * x, 0.1 * torch.randn(21, 40, generator=random)], 2)
        (first, second) = sorted(relate(values, ["x", "y", "noise"], 0, seed).found, key=lambda each: each.name)
        hit += second.slope_interval[0] <= 0.5 <= second.slope_interval[1]
        width += (second.slope_interval[1] - second.slope_interval[0]) / 60
        if seed == 0:
            assert first.slope_interval[0] < 0 < first.slope_interval[1]
            assert first.correlation_interval[0] < 0 < first.correlation_interval[1]
    assert hit >= 52
    assert width == pytest.approx(2 * 1.96 / 40**0.5, rel=0.15)  # independent steps would give a width of 0.22


def test_what_does_not_vary() -> None:
    values = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0))
    values[:, :, 2] = 4.0
    constant = next(each for each in relate(values, ["a", "b", "c"], 0).found if each.name == "c")
    assert (constant.slope, constant.correlation) == pytest.approx((0, 0), abs=1e-6)
    with pytest.raises(ValueError, match="log odds of 'c' do not change at all"):
        relate(values, ["a", "b", "c"], 2)


def test_shares_have_wilsons_intervals() -> None:
    odds = torch.tensor([[1.0, -1], [2, 3], [-1, -1], [0.5, -2]])
    attributes = Classifier(("a", "b"), "attributes", (8, 8), 1)
    assert shares(odds, attributes) == {"a": Share(3, 4), "b": Share(1, 4)}
    assert shares(odds, Classifier(("a", "b"), size=(8, 8), channels=1)) == {"a": Share(3, 4), "b": Share(1, 4)}
    assert Share(10, 20).interval == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert Share(0, 10).interval == pytest.approx((0, 0.2775), abs=1e-4)
    # Newcombe 1998, table II, example (a), method 10
    difference, (low, high) = Share(56, 70).minus(Share(48, 80))
    assert difference == pytest.approx(0.2)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_pictures() -> None:
    space, classifier, _ = world(outputs=14)
    names = image_names("0:0-4")
    values = changes(space, classifier, 0, space.points(names), names, steps=2)
    figure = relation_figure(relate(values, classifier.names, 0), values, classifier.names)
    assert len(figure.axes) == 9
    counted = shares(log_odds(space, classifier, space.points(names), names), classifier)
    (axes,) = share_figure({"samples": counted, "data": dict(list(counted.items())[:3])}).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == list(counted)


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    Classifier(("a", "b", "c"), "attributes", (8, 8), 1).eval().save(tmp_path / "c.safetensors")
    return tmp_path / "c.safetensors"


def test_the_command(
    plain: Path, styled: Path, judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c.png"
    random = torch.Generator().manual_seed(0)
    for number in range(6):
        image = torch.randint(0, 256, (1, 8, 8), generator=random, dtype=torch.uint8)
        write_png(image, tmp_path / "data" / f"{number}.png")
    lines = [f"{number}.png,{number % 2},{int(number > 1)},yes" for number in range(6)]
    (tmp_path / "table.csv").write_text("\n".join(["file,a,b,c", *lines]))
    data = {"data": tmp_path / "data", "attributes": tmp_path / "table.csv"}
    correlate(plain, judge, out, "b", n=8, steps=3, samples=12, **data, **HOW)
    said = capsys.readouterr().out
    assert "samples minus data" in said
    facts = json.loads((tmp_path / "c.json").read_text())
    assert facts["moved"] == "b"
    assert {each["name"] for each in facts["moved_by_gradient"]} == {"a", "c"}
    assert facts["shares"]["samples"]["a"]["images"] == 12
    assert facts["shares"]["data, true"] == {
        "a": {"having": 3, "images": 6, "share": 0.5, "interval": pytest.approx(Share(3, 6).interval)},
        "b": {"having": 4, "images": 6, "share": 4 / 6, "interval": pytest.approx(Share(4, 6).interval)},
        "c": {"having": 6, "images": 6, "share": 1.0, "interval": pytest.approx(Share(6, 6).interval)},
    }
    images = torch.stack([read_png(tmp_path / "data" / f"{number}.png") for number in range(6)])
    counted = (Classifier.load(judge).log_odds(to_float(images)) > 0).sum(dim=0).tolist()
    assert [facts["shares"]["data"][name]["having"] for name in "abc"] == counted
    for name in ("c.png", "c-shares.png"):
        assert read_png(tmp_path / name).float().std() > 0
    correlate(styled, judge, tmp_path / "s.png", "a", n=4, steps=1, samples=4, classes="2", space="z", **HOW)
    assert not (tmp_path / "s-shares.png").exists()
    first = json.loads((tmp_path / "s.json").read_text())
    correlate(
        styled, judge, tmp_path / "s.png", "a", n=4, steps=1, samples=4, classes="2", space="z", batch_size=3, **HOW
    )
    again = json.loads((tmp_path / "s.json").read_text())
    assert first["moved_by_gradient"][0]["slope"] == pytest.approx(again["moved_by_gradient"][0]["slope"], rel=1e-3)


def test_mistakes(plain: Path, judge: Path, tmp_path: Path) -> None:
    Classifier(("a", "b"), size=(8, 8), channels=1).save(tmp_path / "classes.safetensors")
    Classifier(("a",), "attributes", (8, 8), 1).save(tmp_path / "one.safetensors")
    (tmp_path / "data").mkdir()
    write_png(to_uint8(torch.zeros(1, 8, 8)), tmp_path / "data" / "0.png")
    (tmp_path / "t.csv").write_text("file,a\n0.png,1")
    for by, how, sentence in (
        (judge, {}, "is missing: name it by --attribute, one of a, b, c"),
        (judge, {"attribute": "z"}, "knows no attribute 'z'"),
        (judge, {"attribute": "a", "attributes": tmp_path / "t.csv"}, "name them by --data"),
        (judge, {"attribute": "a", "data": tmp_path / "data", "attributes": tmp_path / "t.csv"}, "has no column 'b'"),
        (judge, {"attribute": "a", "n": 0}, "n=0"),
        (tmp_path / "one.safetensors", {"attribute": "a"}, "knows a alone"),
        (
            tmp_path / "classes.safetensors",
            {"attribute": "a", "data": tmp_path / "data", "attributes": tmp_path / "t.csv"},
            "is of classes",
        ),
    ):
        with pytest.raises(ValueError, match=sentence):
            correlate(plain, by, tmp_path / "x.png", **HOW, **how)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        correlate(plain, judge, tmp_path / "x.png", "a", data=tmp_path / "none", **HOW)
    assert not (tmp_path / "x.png").exists()
