"""Agreement of a segmentation with the true one, pixel by pixel."""

from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix


class SegmentationScores(MulticlassConfusionMatrix):
    """Dice, intersection over union and pixel accuracy, over all pixels of all images together.

    It is torchmetrics' confusion matrix: `update(predicted, true)` takes classes, int64 (N, H, W).

    Args:
        num_classes: number of classes, 2 or more. Class 0 is the background.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Return scalars in [0, 1], higher is better.

        `pixel_accuracy`: share of pixels with their true class. `dice` = 2 |P ∩ T| / (|P| + |T|) and `iou` =
        |P ∩ T| / |P ∪ T|: with two classes those of class 1, else means over all classes but the background.
        `dice/K` and `iou/K`: those of class K alone. A class without a pixel, true or predicted, counts as 1.
        """
        matrix = super().compute().double()
        hits, true, predicted = matrix.diag(), matrix.sum(1), matrix.sum(0)
        dice = (2 * hits / (true + predicted)).nan_to_num(1.0)
        iou = (hits / (true + predicted - hits)).nan_to_num(1.0)
        scores = {"pixel_accuracy": hits.sum() / matrix.sum(), "dice": dice[1:].mean(), "iou": iou[1:].mean()}
        for number in range(len(matrix)):
            scores |= {f"dice/{number}": dice[number], f"iou/{number}": iou[number]}
        return scores
