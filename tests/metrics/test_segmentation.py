import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from gan_lightning.metrics import SegmentationScores


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_are_scikit_learns_over_all_pixels(classes):
    generator = torch.Generator().manual_seed(0)
    predicted, true = torch.randint(classes, (2, 6, 9, 7), generator=generator)
    scores = SegmentationScores(classes)
    for start in (0, 4):
        scores.update(predicted[start : start + 4], true[start : start + 4])
    found = scores.compute()
    flat = true.flatten().numpy(), predicted.flatten().numpy()
    dice, iou = f1_score(*flat, average=None), jaccard_score(*flat, average=None)
    assert found["pixel_accuracy"].item() == pytest.approx(accuracy_score(*flat))
    assert [found[f"dice/{k}"].item() for k in range(classes)] == pytest.approx(dice)
    assert [found[f"iou/{k}"].item() for k in range(classes)] == pytest.approx(iou)
    assert found["dice"].item() == pytest.approx(dice[1:].mean())
    assert found["iou"].item() == pytest.approx(iou[1:].mean())


def test_a_class_that_is_nowhere_counts_as_right_and_one_that_is_missed_as_wrong():
    scores = SegmentationScores(3)
    scores.update(torch.zeros(1, 4, 4, dtype=torch.long), torch.tensor([[[0, 0], [0, 1]]]).repeat(1, 2, 2))
    found = scores.compute()
    assert (found["dice/2"], found["dice/1"]) == (1, 0)
    assert found["dice"] == 0.5
