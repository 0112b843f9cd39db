import pytest

from gan_lightning.evaluation.recipes import FAMILIES, SUITE, find_recipe
from gan_lightning.metrics import DensityCoverage, FrechetInceptionDistance, InceptionScore, PrecisionRecall


@pytest.mark.parametrize(
    ("name", "split", "num_fake", "num_real", "extractor"),
    [
        ("fid50k_train", "train", 50_000, None, "inception"),
        ("fid10k_test", "test", 10_000, None, "inception"),
        ("fid50k", "train", 50_000, None, "inception"),
        ("kid2000_test", "test", 2000, None, "inception"),
        ("pr50k", "train", 50_000, 50_000, "vgg16"),
        ("dcfull_test", "test", None, None, "vgg16"),
        ("fidfull@digits", "train", None, None, "digits"),
        ("suite2k_test@torchvision/resnet50", "test", 2000, None, "torchvision/resnet50"),
        ("cleanfid50k", "train", 50_000, None, "clean_inception"),
    ],
)
def test_a_name_says_it_all(name, split, num_fake, num_real, extractor):
    recipe = find_recipe(name)
    assert recipe.name == name
    assert (recipe.split, recipe.num_fake, recipe.num_real) == (split, num_fake, num_real)
    assert recipe.extractor == extractor


def test_families_join_where_one_pass_serves_them_all():
    assert find_recipe("suitefull").metrics == SUITE
    joined = find_recipe("fid+is10k_test")
    assert joined.metrics == (FrechetInceptionDistance, InceptionScore)
    assert joined.extractor == "inception"
    several = find_recipe("pr+dc5k")
    assert several.metrics == (PrecisionRecall, DensityCoverage)
    assert (several.num_fake, several.num_real) == (5000, 5000)
    with pytest.raises(ValueError, match=r"with several extractors.*: name it, as in fid\+pr5k@inception"):
        find_recipe("fid+pr5k")
    named = find_recipe("fid+pr5k@inception")
    assert (named.extractor, named.num_real) == ("inception", 5000)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "fid",
        "fun50k",
        "fid0",
        "fid0k",
        "fid50",
        "fid+50k",
        "+fid50k",
        "fid50k_val",
        "fid50k@",
        "50k",
        "FID50k",
        "fid5kk",
    ],
)
def test_other_names_are_refused_with_the_grammar(name):
    if name == "fid50":
        assert find_recipe(name).num_fake == 50
        return
    with pytest.raises(ValueError, match=r"a name is METRICS NUMBER .*; the metrics are .*fid"):
        find_recipe(name)


NEED_WEIGHTS = ["lpips", "lpips_pairs", "ppl_z", "ppl_w"]


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in NEED_WEIGHTS])
def test_every_family_has_a_summary_and_makes_a_recipe(name):
    family, recipe = FAMILIES[name], find_recipe(f"{name}10k")
    assert family.summary
    assert recipe.metrics[: len(family.of_features)] == family.of_features
    others = recipe.metrics[len(family.of_features) :]
    assert [type(metric) for metric in others] == [getattr(make, "func", make) for make in family.others]
    assert recipe.extractor == family.extractor
    assert recipe.metrics


def test_metrics_of_pairs_join_the_others():
    recipe = find_recipe("suite+paired+srfull_test@efficientnet_lite0")
    assert (recipe.extractor, recipe.split, recipe.num_fake, recipe.num_real) == (
        "efficientnet_lite0",
        "test",
        None,
        None,
    )
    assert [metric.name for metric in recipe.metrics[len(SUITE) :]] == ["psnr", "ssim", "l1", "psnr_y", "ssim_y"]
    assert [(metric.channels, metric.border) for metric in recipe.metrics[-2:]] == [("y", 4), ("y", 4)]
    assert find_recipe("pairedfull").extractor == "none"


def test_an_extractor_is_named_only_for_metrics_that_want_features():
    assert find_recipe("swd10k").extractor == "none"
    assert find_recipe("swd+fid10k").extractor == "inception"


@pytest.mark.parametrize("name", NEED_WEIGHTS)
def test_missing_weights_of_a_metric_are_named_with_the_recipe(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no weights for the extractor"):
        find_recipe(f"{name}10k")
