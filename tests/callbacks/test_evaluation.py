import itertools
import json
import os
import random
import subprocess
import sys
import textwrap
import warnings

import lightning as L
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from safetensors.torch import save
from torch import nn
from torch.utils.data import DataLoader

from gan_lightning.callbacks.evaluation import Evaluation
from gan_lightning.data.batches import ImageBatch, PairedBatch
from gan_lightning.data.images import to_uint8
from gan_lightning.draws import ImageDraws
from gan_lightning.evaluation.cache import CACHE_VARIABLE
from gan_lightning.metrics import (
    L1,
    PSNR,
    SSIM,
    DensityCoverage,
    FeatureExtractor,
    FeatureMetric,
    Features,
    FrechetInceptionDistance,
    ImageMetric,
    InceptionScore,
    KernelInceptionDistance,
    PrecisionRecall,
)
from gan_lightning.run_files import REPORTS

METRICS = [FrechetInceptionDistance, InceptionScore, PrecisionRecall]


class Means(FeatureExtractor):
    """Features: the means of the four quarters. Counts the images it has seen."""

    num_features = 4
    channels = 1

    def __init__(self, preprocessing: str = "means") -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.seen = 0
        self.enabled = set()

    def extract(self, images):
        self.seen += len(images)
        self.enabled.add(torch.is_autocast_enabled("cpu"))
        pooled = nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1) / 255
        return Features(pooled, pooled)


class Loader:
    """Batches of one set of images, in order; named like it, unless it is nameless."""

    def __init__(self, seed=0, batches=3, size=10):
        generator = torch.Generator().manual_seed(seed)
        self.batches = [ImageBatch(torch.rand(size, 1, 4, 4, generator=generator) * 2 - 1) for _ in range(batches)]

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


class NamedLoader(Loader):
    def __init__(self, seed=0, **arguments):
        super().__init__(seed, **arguments)
        self.fingerprint = f"random images {seed}"


class Gan(L.LightningModule):
    """Generates noise of one learnt width; records what it draws while it trains."""

    def __init__(self, break_at: int | None = None) -> None:
        super().__init__()
        self.width = nn.Parameter(torch.tensor(0.5))
        self.break_at = break_at
        self.flip = False
        self.drawn = []
        self.generated = []

    def training_step(self, batch, batch_idx):
        noise = torch.randn(())
        self.drawn.append((noise.item(), random.random(), float(np.random.rand())))
        return (self.width - 1) ** 2 + 0 * noise

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def generate(self, batch):
        fake = self.width * (torch.rand_like(batch.images) * 2 - 1)
        self.generated.append(fake.sum().item())
        random.random(), np.random.rand()
        return fake

    def validation_step(self, batch, batch_idx):
        if batch_idx == self.break_at:
            raise KeyError("broken")
        return self.generate(batch)

    test_step = validation_step

    def reference(self, batch):
        return batch.images.flip(0) if self.flip else batch.images


@pytest.fixture
def evaluation(tmp_path):
    return make_evaluation(tmp_path)


def make_evaluation(place, metrics=METRICS, **arguments):
    return Evaluation(extractor=Means(), metrics=metrics, cache_dir=place / "cache", **arguments)


def make_trainer(place, *callbacks, **arguments):
    settings = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        "default_root_dir": place,
        "callbacks": list(callbacks),
    }
    return L.Trainer(**settings | arguments)


def validate(place, evaluation, loader, model=None, **arguments):
    """Return the values logged, and the number of images that the extractor saw."""
    before = evaluation.evaluator.extractor.seen
    (values,) = make_trainer(place, evaluation, **arguments).validate(model or Gan(), loader, verbose=False)
    return values, evaluation.evaluator.extractor.seen - before


def same(values):
    """Equal but for the order of sums, which may follow where in memory the features lie.

    Metrics are float64, of rounding 1e-16; a square root of an eigenvalue near 0, in FID, keeps half of these digits.
    """
    return pytest.approx(values, rel=1e-6, abs=1e-7)


def test_values_are_the_metrics_own_and_equal_weights_score_equally(tmp_path, evaluation):
    values, _ = validate(tmp_path, evaluation, Loader())
    assert set(values) == {"val/fid", "val/inception_score", "val/inception_score_std", "val/precision", "val/recall"}
    model, means, metric = Gan(), Means(), FrechetInceptionDistance(4)
    for number, batch in enumerate(Loader()):
        metric.update(means((batch.images * 127.5 + 128).clamp(0, 255).byte()), real=True)
        with ImageDraws(evaluation.seed, range(10 * number, 10 * number + 10)):
            fakes = model.generate(batch).detach()
        metric.update(means((fakes * 127.5 + 128).clamp(0, 255).byte()), real=False)
    assert values["val/fid"] == pytest.approx(metric.compute()["fid"].item(), rel=1e-6)
    torch.manual_seed(5)
    assert validate(tmp_path, evaluation, Loader())[0] == values
    assert validate(tmp_path, make_evaluation(tmp_path, seed=1), Loader())[0] != values


def test_test_runs_log_under_their_own_name(tmp_path, evaluation):
    (values,) = make_trainer(tmp_path, evaluation).test(Gan(), NamedLoader(), verbose=False)
    assert {name.replace("test/", "val/"): value for name, value in values.items()} == validate(
        tmp_path, evaluation, Loader()
    )[0]


def test_real_features_are_computed_once(tmp_path, evaluation):
    loader = NamedLoader()
    values, seen = validate(tmp_path, make_evaluation(tmp_path / "elsewhere"), Loader())
    assert seen == 60
    expected = same(values)
    assert validate(tmp_path, evaluation, loader) == (expected, 60)
    assert validate(tmp_path, evaluation, loader) == (expected, 30)  # from memory
    (file,) = (tmp_path / "cache").iterdir()
    file.unlink()
    assert validate(tmp_path, evaluation, loader) == (expected, 30)
    assert validate(tmp_path, make_evaluation(tmp_path), loader) == (expected, 60)
    assert validate(tmp_path, make_evaluation(tmp_path), loader) == (expected, 30)  # from disk


def test_loaders_without_a_name_are_read_each_time(tmp_path, evaluation):
    assert validate(tmp_path, evaluation, Loader())[1] == 60
    assert validate(tmp_path, evaluation, Loader())[1] == 60
    assert not (tmp_path / "cache").exists()


def test_other_reals_or_another_extractor_have_their_own_features(tmp_path, evaluation):
    first, _ = validate(tmp_path, evaluation, NamedLoader(0))
    second, seen = validate(tmp_path, evaluation, NamedLoader(1))
    assert (seen, first != second) == (60, True)
    assert validate(tmp_path, evaluation, NamedLoader(0)) == (same(first), 30)
    turned = Gan()
    turned.flip = True  # the same loader, and a model that is measured against other images of it
    assert validate(tmp_path, evaluation, NamedLoader(0), turned)[1] == 60
    other = Evaluation(extractor=Means("other means"), metrics=METRICS, cache_dir=tmp_path / "cache")
    assert validate(tmp_path, other, NamedLoader(0))[1] == 60


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file[: len(file) // 2],
        lambda file: b"",
        lambda file: b"x" * 100,
        lambda file: save({"others": torch.zeros(30, 4)}),
        lambda file: save({"pooled": torch.zeros(30, 5)}),
        lambda file: save({"pooled": torch.full((30, 4), torch.nan)}),
    ],
)
def test_damaged_files_are_computed_anew(tmp_path, evaluation, damage, recwarn):
    expected, _ = validate(tmp_path, evaluation, NamedLoader())
    (file,) = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert validate(tmp_path, make_evaluation(tmp_path), NamedLoader()) == (same(expected), 60)
    assert file.read_bytes() == whole
    assert list((tmp_path / "cache").iterdir()) == [file]
    assert not [warning for warning in recwarn if "features" in str(warning.message)]


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    evaluation = make_evaluation(tmp_path)
    with pytest.warns(UserWarning, match="could not be kept in"):
        _, seen = validate(tmp_path, evaluation, NamedLoader())
    assert seen == 60
    assert validate(tmp_path, evaluation, NamedLoader())[1] == 30


def test_short_passes_compare_like_with_like_and_keep_nothing(tmp_path, evaluation):
    short, seen = validate(tmp_path, evaluation, NamedLoader(), limit_val_batches=2)
    assert seen == 40
    assert not (tmp_path / "cache").exists()
    whole, _ = validate(tmp_path, evaluation, NamedLoader())
    assert validate(tmp_path, evaluation, NamedLoader(), limit_val_batches=2) == (same(short), 40)
    assert validate(tmp_path, evaluation, NamedLoader()) == (same(whole), 30)


def test_the_progress_bar_says_how_many_images_a_second_are_measured(tmp_path, evaluation, monkeypatch):
    said = []
    monkeypatch.setattr(Tqdm, "set_postfix_str", lambda _, text: said.append(text))
    clock = itertools.count()  # a second passes each time that it is looked at
    monkeypatch.setattr("gan_lightning.callbacks.evaluation.time.perf_counter", lambda: float(next(clock)))
    shown = {"callbacks": [evaluation, TQDMProgressBar()], "enable_progress_bar": True}
    validate(tmp_path, evaluation, NamedLoader(size=40, batches=1), **shown)
    assert said == [
        "32 images measured, 32.0 a second",
        "40 images measured, 20.0 a second",
        "72 images measured, 24.0 a second",
        "80 images measured, 20.0 a second",
    ]


def test_a_metric_of_more_images_is_left_out_and_named_once(tmp_path, caplog, capsys):
    evaluation = make_evaluation(tmp_path, [FrechetInceptionDistance, DensityCoverage, KernelInceptionDistance])
    few = NamedLoader(size=2, batches=2)
    with pytest.warns(UserWarning, match="left out .* Density.* at least 6 .*; Kernel.* at least 1000 ") as caught:
        values, _ = validate(tmp_path, evaluation, few)
    assert set(values) == {"val/fid"}
    assert sum("left out" in str(warning.message) for warning in caught) == 1  # one sentence for all
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="left out")
        validate(tmp_path, evaluation, few)
    for short in ({"fast_dev_run": 2}, {"limit_val_batches": 1}):
        with caplog.at_level("INFO"):
            fresh = make_evaluation(tmp_path, [FrechetInceptionDistance, DensityCoverage])
            values, _ = validate(tmp_path, fresh, few, **short)
        assert set(values) == {"val/fid"}
        assert "DensityCoverage needs at least 6 images" in caplog.text + capsys.readouterr().out
        caplog.clear()


def test_fit_keeps_the_best_by_fid_and_nothing_of_the_evaluation(tmp_path, evaluation):
    best = ModelCheckpoint(tmp_path, monitor="val/fid", mode="min", filename="best")
    trainer = make_trainer(tmp_path, evaluation, best, max_epochs=3, num_sanity_val_steps=1)
    model = Gan()
    trainer.fit(model, Loader(1, batches=4), NamedLoader())
    assert trainer.callback_metrics["val/fid"].isfinite()
    assert best.best_model_score == trainer.callback_metrics["val/fid"]  # the width comes nearer to the reals'
    assert (
        evaluation.evaluator.extractor.seen == 20 + 30 + 3 * 30
    )  # the sanity check's batch, the reals once, the fakes
    checkpoint = torch.load(best.best_model_path, weights_only=True)
    assert set(checkpoint["state_dict"]) == {"width"}
    assert "Evaluation" not in checkpoint["callbacks"]


@pytest.mark.parametrize("every", [1, 2])
def test_training_draws_the_same_however_often_one_evaluates(tmp_path, evaluation, every):
    def drawn(*callbacks, **arguments):
        L.seed_everything(3, verbose=False)
        model = Gan()
        make_trainer(tmp_path, *callbacks, max_epochs=1, **arguments).fit(model, Loader(1, batches=4), Loader())
        return model.drawn, model.generated

    plain, _ = drawn(limit_val_batches=0)
    evaluated, generated = drawn(evaluation, val_check_interval=every)
    assert evaluated == plain
    assert len(generated) > 4


def test_the_random_state_is_put_back_when_a_validation_breaks(tmp_path, evaluation):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with pytest.raises(KeyError):
        make_trainer(tmp_path, evaluation).validate(Gan(break_at=1), NamedLoader(), verbose=False)
    assert torch.equal(torch.get_rng_state(), before)
    # and what the broken pass left behind is not in the next one
    assert validate(tmp_path, evaluation, NamedLoader()) == validate(
        tmp_path, make_evaluation(tmp_path / "b"), Loader()
    )


def test_features_are_made_without_autocast(tmp_path, evaluation):
    expected, _ = validate(tmp_path, evaluation, Loader())
    mixed, _ = validate(tmp_path, evaluation, Loader(), precision="bf16-mixed")
    assert evaluation.evaluator.extractor.enabled == {False}
    assert mixed["val/fid"] == pytest.approx(expected["val/fid"], rel=0.1)


def test_bad_models_and_loaders_are_refused(tmp_path, evaluation):
    model = Gan()
    model.width.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="Gan generated NaN or infinite pixels"):
        validate(tmp_path, evaluation, Loader(), model)

    class Silent(Gan):
        def validation_step(self, batch, batch_idx):
            return None

    with pytest.raises(TypeError, match="Silent cannot be evaluated"):
        validate(tmp_path, evaluation, Loader(), Silent())

    class Indexed(Gan):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            return self.generate(batch)

    with pytest.raises(ValueError, match="there are 2 loaders"):
        validate(tmp_path, evaluation, [Loader(), Loader(1)], Indexed())


def test_a_torch_loader_works_and_is_read_each_time(tmp_path, evaluation):
    images = torch.cat([batch.images for batch in Loader().batches])
    loader = DataLoader(images, batch_size=10, collate_fn=lambda rows: ImageBatch(torch.stack(rows)))
    expected, _ = validate(tmp_path, evaluation, Loader())
    assert validate(tmp_path, evaluation, loader) == (same(expected), 60)


class Served(NamedLoader):
    """A loader with the description of its data."""

    def __init__(self, split="train", **arguments):
        super().__init__(**arguments)
        self.split = split
        self.num_items = sum(len(batch.images) for batch in self.batches)


class Counting(FeatureMetric):
    """A metric that counts images of each kind, and keeps their classes."""

    def __init__(self, num_features):
        super().__init__(num_features)
        self.came = {True: 0, False: 0}
        self.labels = {True: [], False: []}

    def update(self, features, real):
        self.came[real] += len(features.pooled)
        self.labels[real] += [] if features.labels is None else features.labels.tolist()

    def compute(self):
        return {"real": torch.tensor(self.came[True]), "fake": torch.tensor(self.came[False])}

    def reset(self, keep_real=False):
        pass


class Brightness(ImageMetric):
    """A metric of sums of levels, and of the number of images."""

    def __init__(self):
        super().__init__()
        self.add_state("real_sum", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("fake_sum", torch.tensor(0), dist_reduce_fx="sum")
        self.shown = {True: 0, False: 0}

    def update(self, images, real):
        self.shown[real] += len(images)
        setattr(self, "real_sum" if real else "fake_sum", (self.real_sum if real else self.fake_sum) + images.sum())

    def compute(self):
        return {"brightness": self.fake_sum.double() / self.real_sum}


@pytest.mark.parametrize(("name", "fakes"), [("fid50_train@x", 50), ("fid7_train@x", 7), ("fidfull_train@x", 30)])
def test_a_recipe_says_how_many_are_generated(tmp_path, name, fakes):
    counting = Counting(4)
    evaluation = Evaluation(name, Means(), [lambda width: counting], cache_dir=tmp_path / "cache")
    values, _ = validate(tmp_path, evaluation, Served())
    assert values == {"val/real": 30, "val/fake": fakes}
    (line,) = (tmp_path / REPORTS).read_text().splitlines()
    report = json.loads(line)
    assert (report["recipe"], report["num_real"], report["num_fake"], report["seeds"]) == (name, 30, fakes, [0])
    assert report["fingerprint"] == Means().fingerprint
    assert report["values"]["fake"]["each"] == [fakes]


class Images(FeatureExtractor):
    """Features: all pixels."""

    num_features = 16
    channels = 1

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.preprocessing = "pixels"

    def extract(self, images):
        return Features(images.flatten(1).float(), images.flatten(1).float())


class Kept(FeatureMetric):
    """The features of generated images, in the order that they came."""

    def __init__(self, num_features):
        super().__init__(num_features)
        self.kept = []

    def update(self, features, real):
        self.kept += [] if real else [features.pooled]

    def compute(self):
        return {"fake": torch.tensor(float(sum(map(len, self.kept))))}

    def reset(self, keep_real=False):
        pass


@pytest.mark.parametrize("name", ["fid50_train@x", "fid7_train@x", "fid100_train@x", "fidfull_train@x"])
def test_batches_of_any_size_make_the_same_images_in_the_same_order(tmp_path, name):
    made = []
    for size in (1, 5, 15, 30):
        kept = Kept(16)
        evaluation = Evaluation(name, Images(), [lambda width, kept=kept: kept], seed=3, cache_dir=tmp_path / "cache")
        validate(tmp_path, evaluation, Served(batches=30 // size, size=size))
        made.append(torch.cat(kept.kept))
    assert len(made[0]) == {"fid50_train@x": 50, "fid7_train@x": 7, "fid100_train@x": 100, "fidfull_train@x": 30}[name]
    assert all(torch.equal(images, made[0]) for images in made)
    assert len(made[0].unique(dim=0)) == len(made[0])


def test_a_recipe_refuses_other_data(tmp_path):
    with pytest.raises(ValueError, match=r"compares with the test split.*set data.init_args.reference_split to test"):
        validate(tmp_path, Evaluation("fid50_test@x", Means(), METRICS), Served("train"))
    with pytest.raises(ValueError, match=r"compares with 50 images, and the data serve 30"):
        validate(tmp_path, Evaluation("pr50_train@x", Means(), METRICS), Served("train"))
    with pytest.raises(ValueError, match="no recipe is named 'fud50k'"):
        Evaluation("fud50k", Means())
    with pytest.raises(ValueError, match="needs a recipe"):
        Evaluation()


def test_classes_reach_the_metrics_of_conditional_models_only(tmp_path):
    counting = Counting(4)
    evaluation = Evaluation(extractor=Means(), metrics=[lambda width: counting], cache_dir=tmp_path / "cache")
    loader = NamedLoader()
    loader.batches = [ImageBatch(batch.images, torch.arange(10)) for batch in loader.batches]
    validate(tmp_path, evaluation, loader)
    assert counting.labels == {True: [*range(10)] * 3, False: []}
    model = Gan()
    model.num_classes = 10
    counting.labels[True].clear()
    validate(
        tmp_path,
        Evaluation(extractor=Means(), metrics=[lambda width: counting], cache_dir=tmp_path / "cache"),
        loader,
        model,
    )
    assert counting.labels == {True: [*range(10)] * 3, False: [*range(10)] * 3}  # the reals' from the cache


def test_metrics_of_images_see_the_reals_until_they_hold_them_all(tmp_path):
    def check(evaluation, seen, shown):
        (brightness,) = evaluation.evaluator.metrics
        before = dict(brightness.shown)
        values, extracted = validate(tmp_path, evaluation, NamedLoader())
        assert (extracted, {kind: brightness.shown[kind] - before[kind] for kind in before}) == (seen, shown)
        return values["val/brightness"]

    once, other = (
        Evaluation(extractor=Means(), metrics=[Brightness()], cache_dir=tmp_path / "cache") for _ in range(2)
    )
    first = check(once, 60, {True: 30, False: 30})
    again = check(once, 30, {True: 0, False: 30})
    assert first == again == check(other, 30, {True: 30, False: 30})  # features from disk, images not


def test_an_interrupted_pass_is_not_taken_for_a_whole_one(tmp_path, evaluation):
    with pytest.raises(KeyError):
        validate(tmp_path, evaluation, NamedLoader(), Gan(break_at=1))
    assert validate(tmp_path, evaluation, NamedLoader()) == validate(
        tmp_path, make_evaluation(tmp_path / "b"), NamedLoader()
    )


class PairedLoader(Loader):
    """Random targets, and sources that are like them."""

    def __init__(self, batches=3, size=4, shape=(3, 16, 12)):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        targets = [torch.rand(size, *shape, generator=random) * 2 - 1 for _ in range(batches)]
        self.batches = [PairedBatch(0.5 * target.flip(1), target) for target in targets]
        self.fingerprint = "random pairs"


class ListLoader(Loader):
    """Batches as torch's own loaders make them: lists of tensors."""

    def __iter__(self):
        return ([batch.images, torch.zeros(10)] for batch in self.batches)


class ListGan(Gan):
    batch_type = list

    def generate(self, batch):
        return super().generate(ImageBatch(batch[0]))

    def reference(self, batch):
        return batch[0]


def test_modules_of_any_kind_are_evaluated_whatever_their_batches_are(tmp_path):
    values, _ = validate(tmp_path, make_evaluation(tmp_path), ListLoader(), ListGan())
    assert values == validate(tmp_path, make_evaluation(tmp_path), Loader(), Gan())[0]


class Translator(Gan):
    batch_type = PairedBatch

    def generate(self, batch):
        return batch.source.flip(1)

    def reference(self, batch):
        return batch.target


class ThreeMeans(Means):
    channels = 3

    def extract(self, images):
        return super().extract(images.float().mean(dim=1, keepdim=True))


@pytest.mark.parametrize("count", [None, 5])
def test_each_pair_is_measured_once_as_its_images_are_saved(tmp_path, count):
    choices = [FrechetInceptionDistance, PSNR(), SSIM(), L1()]
    evaluation = Evaluation(f"fid{count or 'full'}_test@x", ThreeMeans(), metrics=choices, cache_dir=tmp_path / "cache")
    loader = PairedLoader()
    first, _ = validate(tmp_path, evaluation, loader, Translator())
    assert {name for name in first if name != "val/fid"} == {"val/psnr", "val/ssim", "val/l1"}
    expected = [PSNR(), SSIM(), L1()]
    # of a loader that does not say how many items it has: 2, 2 and 1 of the batches, evenly
    chosen = [[0, 1, 2, 3]] * 3 if count is None else [[1, 3], [1, 3], [3]]
    for batch, rows in zip(loader.batches, chosen, strict=True):
        for metric in expected:
            metric.update(to_uint8(Translator().generate(batch))[rows], to_uint8(batch.target)[rows])
    for metric in expected:
        ((name, value),) = metric.compute().items()
        assert first[f"val/{name}"] == pytest.approx(value.item(), rel=1e-6)
    again, seen = validate(tmp_path, evaluation, loader, Translator())
    assert (again, seen) == (same(first), count or 12)  # the reals' features are known, and yet they are compared with
    trial, _ = validate(tmp_path, evaluation, loader, Translator(), fast_dev_run=2)
    assert 0 < trial["val/ssim"] != first["val/ssim"]


def test_metrics_of_pairs_need_a_model_of_pairs(tmp_path):
    evaluation = Evaluation("pairedfull_test", cache_dir=tmp_path / "cache")
    model = Gan()
    for kind, said in (None, "its batch_type is None"), (ImageBatch, "its batch_type is ImageBatch, not PairedBatch"):
        if kind is not None:
            model.batch_type = kind
        for run in "validate", "fit":
            with pytest.raises(TypeError, match=rf"the recipe pairedfull_test .* Gan does not learn from .*{said}"):
                getattr(make_trainer(tmp_path, evaluation), run)(model, Loader())
    assert not model.drawn
    assert not model.generated


def test_recipes_of_pairs_need_no_extractor(tmp_path):
    (values,) = make_trainer(tmp_path, Evaluation("paired+srfull_test", cache_dir=tmp_path / "cache")).validate(
        Translator(), PairedLoader(shape=(3, 24, 20)), verbose=False
    )
    assert values.keys() == {f"val/{name}" for name in ("psnr", "ssim", "l1", "psnr_y", "ssim_y")}


def test_built_from_yaml(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(L.Callback, "callback")
    kid = {"class_path": "gan_lightning.metrics.KernelInceptionDistance", "init_args": {"subset_size": 7}}
    config = parser.parse_object(
        {
            "callback": {
                "class_path": "gan_lightning.callbacks.evaluation.Evaluation",
                "init_args": {
                    "extractor": {"class_path": "gan_lightning.metrics.DigitClassifier"},
                    "metrics": ["gan_lightning.metrics.FrechetInceptionDistance", kid],
                },
            }
        }
    )
    evaluation = parser.instantiate(parser.parse_string(parser.dump(config))).callback
    fid, kid = evaluation.evaluator.metrics
    assert (type(fid), fid.num_features) == (FrechetInceptionDistance, evaluation.evaluator.extractor.num_features)
    assert (kid.num_features, kid.subset_size) == (fid.num_features, 7)
    assert evaluation.cache.folder == tmp_path


def test_two_processes_share_the_work_and_agree(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            from pathlib import Path
            import torch
            from test_evaluation import Gan, NamedLoader, make_evaluation, make_trainer

            class Share(NamedLoader):
                def __init__(self, rank):
                    super().__init__()
                    cut = (slice(0, 7), slice(7, None))[rank]
                    self.batches = [type(b)(b.images[cut]) for b in self.batches][: 3 - rank]  # uneven, in batches too

            class Plain(Gan):
                def generate(self, batch):
                    return self.width * batch.images

            torch.set_num_threads(1)
            place = Path(sys.argv[1])
            evaluation = make_evaluation(place)
            trainer = make_trainer(place, evaluation, strategy="ddp", devices=2)
            rank = trainer.global_rank
            rows = []
            for _ in range(2):
                before = evaluation.evaluator.extractor.seen
                values = trainer.validate(Plain(), Share(rank), verbose=False)[0]
                rows.append((rank, evaluation.evaluator.extractor.seen - before, values["val/fid"]))
            (place / f"{rank}.json").write_text(json.dumps(rows))
            """
        )
    )
    here = os.path.dirname(__file__)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, *sys.path])}
    run = subprocess.run(
        [sys.executable, script, tmp_path], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "sync_dist" not in run.stderr
    rows = [row for rank in range(2) for row in json.loads((tmp_path / f"{rank}.json").read_text())]
    # each rank sees its own share of both sets, and the second time only of the generated one
    assert [tuple(row[:2]) for row in rows] == [(0, 42), (0, 21), (1, 12), (1, 6)]
    values = {fid for *_, fid in rows}

    metric, means = FrechetInceptionDistance(4), Means()
    for index, batch in enumerate(NamedLoader().batches):
        images = batch.images if index < 2 else batch.images[:7]
        metric.update(means((images * 127.5 + 128).clamp(0, 255).byte()), real=True)
        metric.update(means((images * 0.5 * 127.5 + 128).clamp(0, 255).byte()), real=False)
    assert len(values) == 1
    assert float(values.pop()) == pytest.approx(metric.compute()["fid"].item(), rel=1e-5)
