import ast
import re
from pathlib import Path

import pytest

import gan_lightning.metrics
from gan_lightning.callbacks import ModelCheckpoint
from gan_lightning.metrics.directions import good_direction

NAMES = re.compile(r"\w+").findall
LOW = NAMES("""
fid fid_infinity class_fid class_fid_worst kid ppl swd swd_64 swd_32x64 feature_distance pixel_distance memorised
modes_kl modes_kl_uniform nats bits_per_dim l1 l1_y face_l1 lpips matching_distance_iou matching_distance_chamfer
cycle_a cycle_b distance loss
""")
HIGH = NAMES("""
inception_score inception_score_infinity conditional_inception_score precision recall density coverage coverage_iou
coverage_chamfer cas cas_worst_class modes_covered modes_covered_fairly modes_rarest high_quality r_precision psnr
psnr_y ssim ssim_y iou dice pixel_accuracy accuracy linear_svm_accuracy kept better_than_copy pixel_agreement
""")
NEITHER = NAMES("""
kid_std ppl_std inception_score_std feature_distance_std feature_diversity pixel_distance_std pixel_diversity
class_fid_worst_class class_fid_classes modes_kl_floor modes_kl_uniform_floor ms_ssim ms_ssim_real lpips_diversity
lpips_diversity_real style_diversity style_diversity_real cas_real r_precision_real r_precision_chance authenticity
authenticity_baseline nearest_distance_ratio nearest_neighbour_accuracy_iou linear_svm_chance face_l1_copy
source_distance
""")


@pytest.mark.parametrize(
    ("name", "direction"),
    [(name, "min") for name in LOW] + [(name, "max") for name in HIGH] + [(name, None) for name in NEITHER],
)
def test_a_name_tells_the_direction(name: str, direction: str | None) -> None:
    assert good_direction(name) == direction
    assert good_direction(f"val/{name}") == direction
    assert good_direction(f"fid50k_train/{name}") == direction


def test_a_target_stands_behind_the_metric() -> None:
    assert good_direction("val/accuracy/hat") == "max"
    assert good_direction("test/distance/noto") == "min"


def test_terms_of_a_loss_have_no_good_direction() -> None:
    assert good_direction("loss/generator") is None
    assert good_direction("loss/nats") is None


def test_every_value_of_a_metric_has_been_thought_of() -> None:
    found = set()
    for file in Path(gan_lightning.metrics.__file__).parent.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name in ("compute", "mixture_coverage"):
                dictionaries = [node for node in ast.walk(function) if isinstance(node, ast.Dict)]
                found |= {key.value for each in dictionaries for key in each.keys if isinstance(key, ast.Constant)}
    assert len(found) > 30
    assert found <= {*LOW, *HIGH, *NEITHER}


def test_the_best_checkpoint_is_that_of_the_good_direction(tmp_path: Path) -> None:
    assert ModelCheckpoint(tmp_path, "best", "val/fid").mode == "min"
    assert ModelCheckpoint(tmp_path, "best", "val/r_precision").mode == "max"
    assert ModelCheckpoint(tmp_path, "best", "val/mine", "max").mode == "max"
    with pytest.raises(ValueError, match=r"low or high values of val/mine are good.*--best.mode"):
        ModelCheckpoint(tmp_path, "best", "val/mine")
