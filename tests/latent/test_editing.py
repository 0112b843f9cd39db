"""Edits by a classifier's gradient, against closed forms in linear worlds, and by the command."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

import gan_lightning
from gan_lightning.classifiers import Classifier
from gan_lightning.latent import Directions, LatentSpace, image_names
from gan_lightning.latent.commands.attributes import edit
from gan_lightning.latent.commands.images import directions, sample
from gan_lightning.latent.editing import ascend, log_odds, numbers_to_hold, path_figure
from latent.worlds import world
from toys import read_png

HOW: dict[str, Any] = {"trusted": ["toys"], "device": "cpu"}
NAMES = image_names("0:0-6")


def moved(space: LatentSpace, classifier: Classifier, points: Tensor, **how: Any) -> Any:
    return ascend(space, classifier, 1, points, NAMES, **{"title": None, "target": None, **how})


def test_without_regularisation_the_way_is_the_gradient() -> None:
    """In w, along Mᵀe, with steps of equal length."""
    space, classifier, M = world()
    points = space.points(NAMES)
    found = moved(space, classifier, points, steps=10, lr=0.05)
    way = found.points - points
    torch.testing.assert_close(F.normalize(way, dim=1), F.normalize(M[1], dim=0).expand_as(way), atol=1e-4, rtol=0)
    unit = way.norm(dim=1) / (10 * 0.05)
    assert unit.tolist() == pytest.approx([6**0.5] * 7, rel=0.05)  # normal styles of 6 components
    torch.testing.assert_close(found.path[-1], found.points @ M.T)
    assert (found.path.diff(dim=0)[..., 1] > 0).all()


def test_in_z_the_best_latents_of_that_length_are_found() -> None:
    space, classifier, M = world(styled=False)
    points = space.points(NAMES)
    found = moved(space, classifier, points, steps=200, lr=0.05)
    torch.testing.assert_close(found.points.norm(dim=1), points.norm(dim=1))
    best = points.norm(dim=1, keepdim=True) * F.normalize(M[1], dim=0)
    torch.testing.assert_close(found.points, best, atol=0.02, rtol=0)


def test_lowering_goes_the_other_way() -> None:
    space, classifier, M = world()
    points = space.points(NAMES)
    way = moved(space, classifier, points, steps=10, lower=True).points - points
    torch.testing.assert_close(F.normalize(way, dim=1), F.normalize(-M[1], dim=0).expand_as(way), atol=1e-4, rtol=0)


def test_held_attributes_stay_and_more_so_with_more_weight() -> None:
    """At a maximum of the objective the target's gradient is that of the penalty; the change falls as 1 / λ."""
    space, classifier, _ = world()
    points = space.points(NAMES)
    off = []
    for lambda_hold in (0.0, 1.0, 100.0, 1e4):
        path = moved(space, classifier, points, hold=[0, 2, 3], lambda_hold=lambda_hold, steps=300).path
        off.append((path[-1] - path[0])[:, [0, 2, 3]].abs().mean().item())
        assert (path[-1] - path[0])[:, 1].min() > 0
    assert off[0] > 3 * off[1] > 9 * off[2]
    assert off[3] < 0.01
    assert off[0] > 1


def test_an_image_stops_at_the_target_and_says_so() -> None:
    space, classifier, _ = world()
    points = space.points(NAMES)
    found = moved(space, classifier, points, target=0.8, steps=12, lr=0.05)
    last = found.scores[-1, :, 1]
    assert torch.equal(found.reached, last >= 0.8)
    assert 0 < int(found.reached.sum()) < len(NAMES)
    already = found.scores[0, :, 1] >= 0.8
    assert torch.equal(found.steps == 0, already)
    assert already.any()
    assert torch.equal(found.points[already], points[already])
    assert (found.steps[~found.reached] == 12).all()
    for i, steps in enumerate(found.steps.tolist()):
        assert found.reached[i] == 0 or steps == 0 or found.scores[steps - 1, i, 1] < 0.8 <= found.scores[steps, i, 1]
        assert torch.equal(found.path[steps:, i], found.path[steps : steps + 1, i].expand(13 - steps, -1))
    down = moved(space, classifier, points, target=0.2, steps=300, lower=True)
    assert down.reached.all()
    assert (down.scores[-1, :, 1] <= 0.2).all()


def test_nothing_else_changes_and_images_do_not_depend_on_each_other() -> None:
    space, classifier, _ = world(styled=False)
    parts = [*space.sampler.network.parameters(), *classifier.parameters()]
    before = [part.clone() for part in parts]
    points = space.points(NAMES)
    start = points.clone()
    with torch.inference_mode():
        found = moved(space, classifier, points, hold=[0], steps=5)
    assert torch.equal(points, start)
    assert all(torch.equal(a, b) and a.grad is None and a.requires_grad for a, b in zip(parts, before, strict=True))
    alone = ascend(space, classifier, 1, points[4:5], NAMES[4:5], target=None, hold=[0], steps=5, title=None)
    torch.testing.assert_close(alone.points, found.points[4:5])
    none = ascend(space, classifier, 1, points, NAMES, target=1e-6, title=None)
    assert torch.equal(none.points, points)
    assert none.reached.all()


def test_what_is_held() -> None:
    _, classifier, _ = world()
    assert numbers_to_hold(classifier, None, 1) == [0, 2, 3]
    assert numbers_to_hold(classifier, "all", 0) == [1, 2, 3]
    assert numbers_to_hold(classifier, "none", 0) == []
    assert numbers_to_hold(classifier, "a3, a0", 1) == [3, 0]
    classes = Classifier(("a", "b", "c"), size=(8, 8), channels=1)
    assert numbers_to_hold(classes, None, 1) == []
    with pytest.raises(ValueError, match="'a1' is edited, and cannot be held"):
        numbers_to_hold(classifier, "a0,a1", 1)
    with pytest.raises(ValueError, match="knows no attribute 'b'"):
        numbers_to_hold(classifier, "b", 1)


def test_the_plot_has_a_curve_for_each_attribute_but_no_more_than_twelve() -> None:
    for outputs, curves in ((4, 4), (20, 12)):
        space, classifier, _ = world(outputs=outputs)
        found = moved(space, classifier, space.points(NAMES), steps=4, target=0.99)
        (axes,) = path_figure(classifier, 1, found, 0.99).axes
        named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
        assert len(named) == curves
        assert named[0].get_label() == "a1"
        assert list(named[0].get_ydata()) == pytest.approx(found.scores[:, :, 1].mean(dim=1).tolist())


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    Classifier(("a", "b", "$c$"), "attributes", (8, 8), 1).eval().save(tmp_path / "c.safetensors")
    return tmp_path / "c.safetensors"


def test_the_command_writes_picture_plot_and_latents(
    styled: Path, plain: Path, classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "edit.png"
    edit(styled, classifier, out, "$c$", seeds="0:0-9", target=0.6, steps=3, classes="1", judge=classifier, **HOW)
    said = capsys.readouterr().out
    assert said.count(" -> ") == 10 + 2 * (1 + 3)
    assert "of 10 images reached a probability of 0.6 or more" in said or "others had it already" in said
    assert "by the judge" in said
    assert read_png(out).shape == (3, 2 * (22 + 2 * 68), read_png(out).shape[2])
    assert read_png(tmp_path / "edit-path.png").float().std() > 0
    with safe_open(tmp_path / "edit-latents.safetensors", "pt") as file:
        assert file.get_tensor("points").shape == (10, 4)
        assert file.get_tensor("labels").tolist() == [1] * 10
        assert file.get_tensor("noise").tolist() == [[0, number] for number in range(10)]
        facts = file.metadata()
    assert json.loads(facts["names"])[:2] == ["0", "0:1"]
    assert json.loads(facts["about"]) == {"edit": "$c$ to 0.6, holding a, b"}
    assert facts["space"] == "w"
    edit(plain, classifier, out, "a", target=0.4, steps=2, hold="b", seeds="3", **HOW)
    assert "0.4 or less" in capsys.readouterr().out
    sample(plain, tmp_path / "images", seeds="3", **HOW)
    (file,) = (tmp_path / "images").glob("*.png")
    shown = read_png(out)[0, 22:86, -68:-4]
    assert torch.equal(shown, read_png(file)[0].repeat_interleave(16, 0).repeat_interleave(16, 1))


def test_the_command_goes_along_a_direction(
    styled: Path, classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directions(styled, tmp_path / "d.safetensors", count=2, **HOW)
    found = Directions.load(tmp_path / "d.safetensors")
    capsys.readouterr()
    edit(styled, tmp_path / "d.safetensors", tmp_path / "e.png", direction=2, step=-1.5, judge=classifier, **HOW)
    assert "by the judge" in capsys.readouterr().out
    assert not (tmp_path / "e-path.png").exists()
    with safe_open(tmp_path / "e-latents.safetensors", "pt") as file:
        after = file.get_tensor("points")
    before = LatentSpace(gan_lightning.load(styled, trusted="toys")).points(image_names("0-7"))
    torch.testing.assert_close(after, before - 1.5 * found.scales[1] * found.vectors[1])


def test_mistakes(styled: Path, plain: Path, classifier: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    directions(plain, tmp_path / "d.safetensors", count=2, **HOW)
    (tmp_path / "other.safetensors").write_bytes(b"hello")
    Classifier(("x", "y"), size=(8, 8), channels=1).save(tmp_path / "other_names.safetensors")
    along = tmp_path / "d.safetensors"
    for by, how, sentence in (
        (classifier, {}, r"holds a classifier: name what changes by --attribute, one of a, b"),
        (classifier, {"attribute": "d"}, "knows no attribute 'd'"),
        (classifier, {"attribute": "a", "direction": 1}, "holds a classifier"),
        (classifier, {"attribute": "a", "hold": "z"}, "knows no attribute 'z'"),
        (classifier, {"attribute": "a", "target": 1.0}, "target"),
        (classifier, {"attribute": "a", "space": "w"}, "has no space w"),
        (classifier, {"attribute": "a", "classes": "1"}, "without classes"),
        (classifier, {"attribute": "a", "judge": tmp_path / "other_names.safetensors"}, "knows no class 'a'"),
        (classifier, {"attribute": "a", "judge": along}, "holds no classifier"),
        (along, {}, "holds directions: name one by --direction, a number from 1 to 2"),
        (along, {"attribute": "a"}, "holds directions"),
        (along, {"direction": 3}, "has 2 directions, and none with the number 3"),
        (tmp_path / "other.safetensors", {"attribute": "a"}, "neither a classifier nor directions"),
    ):
        with pytest.raises(ValueError, match=sentence):
            edit(plain, by, out, **HOW, **how)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="directions are of a space z of 3 components"):
        edit(styled, along, out, direction=1, space="w", **HOW)
    with pytest.raises(FileNotFoundError):
        edit(plain, tmp_path / "none.safetensors", out, "a", **HOW)
    with pytest.raises(ValueError, match=r"x\.gif"):
        edit(plain, classifier, tmp_path / "x.gif", "a", **HOW)
    assert not out.exists()


def test_log_odds_are_those_of_the_images() -> None:
    space, classifier, M = world()
    points = space.points(NAMES)
    torch.testing.assert_close(log_odds(space, classifier, points, NAMES), points @ M.T)
