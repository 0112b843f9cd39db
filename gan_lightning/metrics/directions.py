"""Whether a low or a high value of a metric is good, by the metric's name."""

import re
from typing import Literal

_LOW = re.compile(
    r"(class_|face_)?(fid|kid|l1)(_infinity|_worst|_y)?|ppl|swd(_\d+(x\d+)?)?|(feature_|pixel_)?distance|memorised|"
    r"modes_kl(_uniform)?|nats|bits_per_dim|lpips|matching_distance_(iou|chamfer)|cycle_[ab]|(.*_)?loss"
)
_HIGH = re.compile(
    r"(conditional_)?inception_score(_infinity)?|precision|recall|density|coverage(_iou|_chamfer)?|cas(_worst_class)?|"
    r"modes_covered(_fairly)?|modes_rarest|high_quality|r_precision|(psnr|ssim)(_y)?|iou|dice|(pixel_|linear_svm_)?accuracy|"
    r"kept|better_than_copy|pixel_agreement"
)


def good_direction(metric: str) -> Literal["min", "max"] | None:
    """Return "min" if low values of a metric are good, "max" if high ones are, and None if neither is known.

    Neither is good for values to compare others with, such as `ms_ssim_real`; for those that should come near such a
    value, such as `lpips_diversity`; for `nearest_neighbour_accuracy_iou`, whose best value is 0.5; and for terms of a
    loss, such as `loss/nats`, which vary from batch to batch.

    Args:
        metric: a name as in metrics.csv, with its stage or its recipe: `val/fid`, `fid50k_train/fid`; or `fid` alone.
            A metric of several targets has the target behind it: `val/accuracy/hat`.
    """
    parts = metric.split("/")
    if parts[0] == "loss" and len(parts) > 1:
        return None
    name = parts[min(1, len(parts) - 1)]
    return "min" if _LOW.fullmatch(name) else "max" if _HIGH.fullmatch(name) else None
