import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lightning.cli.commands import COMMANDS, main
from gan_lightning.evaluation import command, sources
from gan_lightning.metrics import L1, PSNR, SSIM, DigitClassifier, FeatureMetric, GeneratorMetric, LabelledImageMetric
from gan_lightning.models import CGAN, DCGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from toys import trainer

SMALL = {"image_size": 16, "channels": 1, "width": 4, "num_classes": 3}
DIGITS = "datamodules/assets/digits.npz"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Two folders of 60 digits each, sub-folders their classes 0 and 1; the second ones are noisy."""
    root = tmp_path_factory.mktemp("digits")
    with np.load(os.path.join(os.path.dirname(command.__file__), "../..", DIGITS)) as data:
        images, labels = data["reference_images"], data["reference_labels"]
    noise = np.random.default_rng(0).integers(0, 60, images.shape, np.uint8)
    for name, start, added in (("real", 0, 0), ("fake", 30, noise)):
        for digit in (0, 1):
            folder = root / name / f"class{digit}"
            folder.mkdir(parents=True)
            for number, image in enumerate(np.maximum(images, added)[labels == digit][start : start + 30]):
                Image.fromarray(image).save(folder / f"{number:02}.png")
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(folder))
    return folder


def evaluate(*arguments):
    return main(["evaluate", *map(str, arguments), "--device", "cpu"])


def result(path, *arguments):
    """Return the content of the command's JSON file."""
    assert evaluate(*arguments, "--json", path) == 0
    return json.loads(path.read_text())


def features(folder):
    batches = [DigitClassifier()(batch.images).pooled for batch in sources.FolderImages(folder)]
    return torch.cat(batches).double().numpy()


def checkpoint(model, path):
    fit = trainer()
    fit.strategy.connect(model)
    fit.save_checkpoint(path, weights_only=True)
    return path


def test_two_folders_are_compared_and_the_numbers_say_how_they_were_made(digits, tmp_path, capsys):
    real, fake = digits / "real", digits / "fake"
    report = result(tmp_path / "new/report.json", real, fake, "--recipe", "fid+prfull@digits")
    x, y = features(real), features(fake)
    roots = np.sqrt(np.linalg.eigvals(np.cov(x.T) @ np.cov(y.T)).real.clip(min=0))
    distance = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(np.cov(x.T) + np.cov(y.T)) - 2 * roots.sum()
    assert report["values"]["fid"]["mean"] == pytest.approx(distance, rel=1e-3)
    assert report["values"]["fid"]["std"] is None
    assert 0 < report["values"]["precision"]["mean"] <= 1
    expected = {
        "recipe": "fid+prfull@digits",
        "extractor": "DigitClassifier",
        "fingerprint": DigitClassifier().fingerprint,
        "real": str(real),
        "fake": str(fake),
        "num_real": 60,
        "num_fake": 60,
        "seeds": [0],
    }
    assert {name: report[name] for name in expected} == expected
    assert [choice["class_path"].rsplit(".", 1)[1] for choice in report["settings"]["metrics"]] == [
        "FrechetInceptionDistance",
        "PrecisionRecall",
    ]
    table = capsys.readouterr().out
    assert f"fid+prfull@digits: 60 images of {fake}" in table
    assert f"  fid        {distance:.3f}"[:17] in table


def test_a_folder_against_itself(digits, tmp_path):
    report = result(tmp_path / "r.json", digits / "real", digits / "real", "--recipe", "fid+prfull@digits")
    assert report["values"]["fid"]["mean"] == pytest.approx(0, abs=1e-3)
    assert report["values"]["precision"]["mean"] == report["values"]["recall"]["mean"] == 1


def test_batches_change_nothing(digits, tmp_path):
    real, fake = digits / "real", digits / "fake"
    results = [
        result(tmp_path / "r.json", real, fake, "--recipe", "fid+isfull@digits", "--batch_size", size)["values"]
        for size in (7, 64)
    ]
    assert results[0]["fid"]["mean"] == pytest.approx(results[1]["fid"]["mean"], rel=1e-5)
    assert results[0]["inception_score"]["mean"] == pytest.approx(results[1]["inception_score"]["mean"], rel=1e-5)


def test_seeds_draw_other_images_and_give_a_deviation(digits, tmp_path):
    real, fake = digits / "real", digits / "fake"
    report = result(tmp_path / "r.json", real, fake, "--recipe", "fid30@digits", "--seeds", 3)
    values = report["values"]["fid"]["each"]
    assert report["seeds"] == [0, 1, 2]
    assert (report["num_real"], report["num_fake"]) == (60, 30)
    assert len(set(values)) == 3
    assert report["values"]["fid"]["std"] == pytest.approx(np.std(values, ddof=1))
    again = result(tmp_path / "r.json", real, fake, "--recipe", "fid30@digits", "--seeds", 2)
    assert again["values"]["fid"]["each"] == values[:2]


def test_seeds_reach_the_draws_of_metrics_and_whole_folders_pass_through_the_extractor_once(
    digits, tmp_path, monkeypatch
):
    seen = []
    extract = DigitClassifier.extract
    monkeypatch.setattr(
        DigitClassifier, "extract", lambda self, images: seen.append(len(images)) or extract(self, images)
    )
    kid = '[{"class_path": "KernelInceptionDistance", "init_args": {"subsets": 3, "subset_size": 20}}]'
    arguments = [digits / "real", digits / "fake", "--recipe", "kidfull@digits", "--metrics", kid]
    report = result(tmp_path / "r.json", *arguments, "--seeds", 2)
    assert sum(seen) == 120
    first, second = report["values"]["kid"]["each"]
    assert first != second
    # the first is the metric's own: torch-fidelity's
    assert report["settings"]["metrics"][0]["init_args"] == {"subsets": 3, "subset_size": 20, "seed": 2020}
    assert result(tmp_path / "r.json", *arguments)["values"]["kid"]["mean"] == first


def test_real_features_are_computed_once_and_real_images_not_even_decoded(digits, tmp_path, monkeypatch):
    real = shutil.copytree(digits / "real", tmp_path / "real")
    read = []
    read_image = sources.read_image
    monkeypatch.setattr(sources, "read_image", lambda file: read.append(file) or read_image(file))

    def decoded(*arguments):
        read.clear()
        values = result(tmp_path / "r.json", real, digits / "fake", *arguments)["values"]
        return sum(page.file.is_relative_to(real) for page in read), values

    fid = ("--recipe", "fidfull@digits")
    count, first = decoded(*fid)
    assert count == 60
    assert decoded(*fid) == (0, first)
    assert decoded("--recipe", "fid+pr60@digits")[0] == 0
    assert decoded("--recipe", "pr20@digits")[0] == 20  # another choice
    assert decoded(*fid, "--labelled", "true")[0] == 60
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(real / "class0/00.png")
    count, changed = decoded(*fid)
    assert count == 60
    assert changed != first


class Seen(FeatureMetric):
    """A metric that counts the images of each class."""

    def __init__(self, num_features):
        super().__init__(num_features)
        self.counts = {True: 0, False: 0}
        self.classes = {True: 0, False: 0}

    def update(self, features, real):
        self.counts[real] += len(features.pooled)
        self.classes[real] += 0 if features.labels is None else int(features.labels.sum())

    def compute(self):
        return {
            f"{kind}_{'real' if real else 'fake'}": torch.tensor(float(values[real]))
            for kind, values in (("count", self.counts), ("classes", self.classes))
            for real in values
        }


class SeenPixels(LabelledImageMetric):
    """Mean of the pixels, and of the labels."""

    def __init__(self):
        super().__init__()
        self.add_state("real_sum", torch.zeros(3), dist_reduce_fx="sum")
        self.add_state("fake_sum", torch.zeros(3), dist_reduce_fx="sum")

    def update(self, images, real, labels=None):
        assert images.dtype == torch.uint8
        total = self.real_sum if real else self.fake_sum
        total += torch.tensor(
            [len(images), images.double().mean((1, 2, 3)).sum(), 0 if labels is None else labels.sum()]
        )

    def compute(self):
        return {
            f"{name}_{kind}": total[i].double()
            for kind, total in (("real", self.real_sum), ("fake", self.fake_sum))
            for i, name in enumerate(["count", "pixels", "labels"])
        }


class Probing(GeneratorMetric):
    """The generator's number of latents."""

    def update(self, model):
        self.latent_dim = model.latent_dim

    def compute(self):
        return {"latent_dim": torch.tensor(float(self.latent_dim))}


def means(report):
    return {name: value["mean"] for name, value in report["values"].items()}


@pytest.mark.parametrize("known", [False, True])
def test_labels_and_images_reach_the_metrics_that_look_at_them(digits, tmp_path, known):
    arguments = [digits / "real", digits / "fake", "--labelled", "true", "--recipe", "fidfull@digits"]
    if known:
        assert evaluate(*arguments) == 0  # real features are in the cache from now on
    metrics = f'["{__name__}.Seen", "{__name__}.SeenPixels"]'
    values = means(result(tmp_path / "r.json", *arguments, "--metrics", metrics))
    pixels = {
        name: sum(float(batch.images.double().mean((1, 2, 3)).sum()) for batch in sources.FolderImages(digits / name))
        for name in ("real", "fake")
    }
    for name in ("real", "fake"):
        # 30 images of each of the classes 0 and 1
        assert (values[f"count_{name}"], values[f"classes_{name}"], values[f"labels_{name}"]) == (60, 30, 30)
        assert values[f"pixels_{name}"] == pytest.approx(pixels[name])


def test_classes_must_agree(digits, tmp_path, capsys):
    fake = shutil.copytree(digits / "fake", tmp_path / "fake")
    (fake / "class1").rename(fake / "class2")
    assert evaluate(digits / "real", fake, "--recipe", "fidfull@digits", "--labelled", "true") == 2
    assert capsys.readouterr().err.endswith("only one of them has class1, class2\n")
    path = checkpoint(CGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL)), tmp_path / "cgan.ckpt")
    arguments = [path, "--recipe", "fid21@digits", "--labelled", "true"]
    assert evaluate(digits / "real", *arguments) == 2
    assert f"real has 2 classes, and the model of {path} knows 3" in capsys.readouterr().err
    real = shutil.copytree(digits / "real", tmp_path / "real")
    shutil.copytree(real / "class0", real / "class2")
    values = means(result(tmp_path / "r.json", real, *arguments, "--metrics", f'["{__name__}.Seen"]'))
    assert values == {"count_real": 90, "count_fake": 21, "classes_real": 30 + 2 * 30, "classes_fake": 7 + 2 * 7}


def test_a_model_is_probed_and_its_images_are_compared(digits, tmp_path, capsys):
    torch.manual_seed(0)
    path = checkpoint(DCGAN(), tmp_path / "dcgan.ckpt")
    arguments = [digits / "real", path, "--recipe", "fid20@digits", "--metrics"]
    metrics = f'["FrechetInceptionDistance", "{__name__}.Probing"]'
    report = result(tmp_path / "r.json", *arguments, metrics, "--seeds", 2)
    assert report["values"]["latent_dim"]["each"] == [100, 100]
    assert len(set(report["values"]["fid"]["each"])) == 2
    assert (report["num_real"], report["num_fake"], report["settings"]["images_seen"]) == (60, 20, 0)
    again = result(tmp_path / "r.json", *arguments, metrics)
    assert again["values"]["fid"]["mean"] == report["values"]["fid"]["each"][0]
    truncated = result(tmp_path / "r.json", *arguments, metrics, "--truncation", 0.5)
    assert truncated["settings"]["truncation"] == 0.5
    assert truncated["values"]["fid"]["mean"] != again["values"]["fid"]["mean"]
    assert evaluate(digits / "real", digits / "fake", "--recipe", "fidfull@digits", "--metrics", metrics) == 2
    assert "Probing probes a generator, and" in capsys.readouterr().err


@pytest.fixture
def pairs(tmp_path):
    """Five targets, and what was made of them, in sub-folders and of other formats; the third was copied."""
    random = np.random.default_rng(0)
    for number in range(5):
        target = random.integers(0, 256, (16, 12, 3), np.uint8)
        made = target if number == 2 else random.integers(0, 256, target.shape, np.uint8)
        for name, image in (f"real/deep/{number}.bmp", target), (f"fake/deep/{number}.png", made):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / name)
    return tmp_path


def test_pairs_are_matched_by_name_and_score_as_in_a_validation(pairs):
    report = result(pairs / "r.json", pairs / "real", pairs / "fake", "--recipe", "pairedfull")
    expected = [PSNR(), SSIM(), L1()]
    gaps = []
    for number in range(5):
        fake, target = (
            torch.from_numpy(np.array(Image.open(pairs / name))).permute(2, 0, 1)[None]
            for name in (f"fake/deep/{number}.png", f"real/deep/{number}.bmp")
        )
        for metric in expected:
            metric.update(fake, target)
        gaps.append((fake.double() - target).abs().mean().item() / 255)
    values = {name: value["mean"] for name, value in report["values"].items()}
    assert values == pytest.approx({n: v.item() for metric in expected for n, v in metric.compute().items()}, rel=1e-9)
    assert (report["extractor"], report["num_real"], report["num_fake"]) == ("NoFeatures", 5, 5)

    several = result(pairs / "r.json", pairs / "real", pairs / "fake", "--recipe", "paired4", "--seeds", 6)
    without_one = [pytest.approx((sum(gaps) - gap) / 4) for gap in gaps]
    values = several["values"]["l1"]["each"]  # of a draw of fakes, each with its own partner
    assert all(value in without_one for value in values)
    assert len(set(values)) > 1

    luma = '[{"class_path": "PSNR", "init_args": {"channels": "y", "border": 2}}]'
    report = result(pairs / "r.json", pairs / "real", pairs / "fake", "--recipe", "pairedfull", "--metrics", luma)
    assert report["values"].keys() == {"psnr_y"}
    assert report["settings"]["metrics"][0]["init_args"] == {"channels": "y", "border": 2}


def test_what_has_no_partner_or_another_size_is_named(pairs, capsys):
    real, fake = pairs / "real", pairs / "fake"

    def said(*arguments):
        assert evaluate(real, fake, "--recipe", "pairedfull", *arguments) == 2
        return capsys.readouterr().err

    Image.new("RGB", (24, 32)).save(fake / "deep/1.png")
    assert re.search(r"fake/deep/1.png has 32x24 pixels and .*real/deep/1.bmp 16x12.* --size \[16,12\]", said())
    assert evaluate(real, fake, "--recipe", "pairedfull", "--size", "[16,12]") == 0
    (real / "deep/4.bmp").unlink()
    assert re.search(r"1 images of .*fake and .*real have no partner .*fake/deep/4.png", said())
    model = checkpoint(DCGAN(), pairs / "best.ckpt")
    assert evaluate(real, model, "--recipe", "pairedfull") == 2
    assert "best.ckpt is a checkpoint: leave them out, or give a folder" in capsys.readouterr().err


def test_an_enlarged_source_is_the_baseline_of_super_resolution(tmp_path):
    """Copying the source, where it is of another size and has transparency: what `--size` makes of it is bicubic."""
    random = np.random.default_rng(0)
    for folder in "large", "small", "enlarged":
        (tmp_path / folder).mkdir()
    for number in range(3):
        large = Image.fromarray(random.integers(0, 256, (8, 8, 4), np.uint8)).resize((48, 48))
        over_white = Image.alpha_composite(Image.new("RGBA", large.size, "white"), large).convert("RGB")
        small = over_white.resize((12, 12), Image.Resampling.BICUBIC)
        large.save(tmp_path / f"large/{number}.png")
        small.save(tmp_path / f"small/{number}.png")
        small.resize((48, 48), Image.Resampling.BICUBIC).save(tmp_path / f"enlarged/{number}.png")
    by_size, by_hand = (
        result(tmp_path / "r.json", tmp_path / "large", tmp_path / folder, "--recipe", "srfull", *size)["values"]
        for folder, size in (("small", ("--size", "[48,48]")), ("enlarged", ()))
    )
    assert by_size["psnr_y"]["mean"] == pytest.approx(by_hand["psnr_y"]["mean"], rel=1e-9)
    assert 15 < by_size["psnr_y"]["mean"] < 100


def test_the_mean_target_is_made_as_the_docs_say(tmp_path, monkeypatch):
    docs = Path(__file__).parents[2] / "docs/evaluation.md"
    snippet = next(text for text in re.findall(r"```python\n(.*?)```", docs.read_text(), re.DOTALL) if "mean" in text)
    monkeypatch.chdir(tmp_path)
    drawn = np.random.default_rng(0).integers(0, 256, (20, 256, 256, 3), dtype=np.uint8)
    for folder in ("sources", "targets"):
        (tmp_path / folder).mkdir()
        for number, image in enumerate(drawn):
            Image.fromarray(image).save(tmp_path / folder / f"{number}.png")
    exec(snippet.replace("load_size=286", "load_size=256"), {})
    held_back = [np.array(Image.open(file)) for file in sorted((tmp_path / "held_back").iterdir())]
    assert len(held_back) == 4
    trained_on = [image for image in drawn if not any((image == other).all() for other in held_back)]
    assert len(trained_on) == 16
    assert np.abs(np.array(Image.open("mean/0.png")) - np.mean(trained_on, axis=0)).max() <= 0.51


def test_nothing_is_computed_that_no_metric_looks_at(digits, tmp_path, monkeypatch, cache):
    path = checkpoint(DCGAN(), tmp_path / "dcgan.ckpt")

    def refuse(*arguments):
        raise AssertionError("done for nothing")

    monkeypatch.setattr(DigitClassifier, "extract", refuse)
    arguments = [digits / "real", path, "--recipe", "fid3@digits", "--metrics"]
    values = means(result(tmp_path / "r.json", *arguments, f'["{__name__}.SeenPixels"]'))
    assert (values["count_real"], values["count_fake"]) == (60, 3)
    monkeypatch.setattr(DCGAN, "sample", refuse)
    monkeypatch.setattr(sources, "read_image", refuse)
    assert means(result(tmp_path / "r.json", *arguments, f'["{__name__}.Probing"]')) == {"latent_dim": 100}
    assert not cache.exists()


def test_the_numbers_are_torch_fidelitys(tmp_path, inception_weights):
    import torch_fidelity

    random = np.random.default_rng(0)
    for name, brightest in (("real", 256), ("fake", 128)):
        (tmp_path / name / "deep").mkdir(parents=True)
        for number in range(6):
            values = random.integers(0, brightest, (24, 40, 3), np.uint8)
            Image.fromarray(values).save(tmp_path / name / ("deep" if number % 2 else "") / f"{number}.png")
    # not the FID: two square roots of 2048 x 2048 take half a minute, and its test is on the same features
    expected = torch_fidelity.calculate_metrics(
        input1=str(tmp_path / "fake"),
        input2=str(tmp_path / "real"),
        samples_find_deep=True,
        feature_extractor_weights_path=str(inception_weights),
        isc=True,
        kid=True,
        isc_splits=2,
        kid_subsets=3,
        kid_subset_size=5,
        cuda=False,
        cache=False,
        verbose=False,
    )
    metrics = [
        {"class_path": "InceptionScore", "init_args": {"splits": 2}},
        {"class_path": "KernelInceptionDistance", "init_args": {"subsets": 3, "subset_size": 5}},
    ]
    arguments = [tmp_path / "real", tmp_path / "fake", "--weights", inception_weights, "--metrics", json.dumps(metrics)]
    values = means(result(tmp_path / "r.json", *arguments))
    for ours, theirs in (
        ("inception_score", "inception_score_mean"),
        ("inception_score_std", "inception_score_std"),
        ("kid", "kernel_inception_distance_mean"),
        ("kid_std", "kernel_inception_distance_std"),
    ):
        assert values[ours] == pytest.approx(expected[theirs], rel=1e-3)


def test_a_metric_with_too_few_images_is_left_out_aloud(digits, tmp_path, capsys):
    report = result(tmp_path / "r.json", digits / "real", digits / "fake", "--recipe", "suitefull@digits")
    assert set(report["values"]) == {"fid", "inception_score", "inception_score_std", "precision", "recall"}
    (reason,) = report["settings"]["left_out"]
    assert reason.startswith("KernelInceptionDistance needs at least 1000 images")
    assert f"note: left out: {reason}\n" in capsys.readouterr().err
    assert evaluate(digits / "real", digits / "fake", "--recipe", "kidfull@digits") == 2
    assert capsys.readouterr().err == f"error: {reason}\n"


def an_empty_folder(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def a_damaged_image(folder):
    (folder / "class1/07.png").write_bytes(b"\x89PNG")


def no_folder(folder):
    shutil.rmtree(folder)


MISTAKES = {
    "an empty folder": (an_empty_folder, [], "bad holds no images: put files"),
    "no folder": (no_folder, [], "there is no .*bad: name a folder of generated images, or a checkpoint"),
    "a damaged image": (a_damaged_image, [], r"class1/07.png cannot be read as an image .*: fix or remove it"),
    "no recipe": (None, ["--recipe", "fun50k"], "no recipe is named 'fun50k'"),
    "no extractor": (None, ["--recipe", "fidfull@nothing"], "nothing"),
    "no weights": (None, ["--recipe", "fidfull@inception", "--weights", "absent.pth"], "weights"),
    "too many": (
        None,
        ["--recipe", "fid2k_test@digits"],
        r"bad has only 60 images, .*: use --recipe fid60_test@digits",
    ),
    "no seeds": (None, ["--seeds", "0"], "seeds=0 is out of range: make it 1 or more"),
    "latents": (None, ["--truncation", "0.5"], "--truncation is for a checkpoint's latents"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(digits, tmp_path, capsys, mistake):
    bad = shutil.copytree(digits / "fake", tmp_path / "bad")
    spoil, arguments, sentence = MISTAKES[mistake]
    if spoil is not None:
        spoil(bad)
    recipe = [] if "--recipe" in arguments else ["--recipe", "fidfull@digits"]
    capsys.readouterr()
    assert evaluate(digits / "real", bad, *recipe, *arguments, "--json", tmp_path / "r.json") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert re.search(sentence, said.err)
    assert not (tmp_path / "r.json").exists()


def test_too_few_references_are_reported(digits, tmp_path, capsys):
    few = tmp_path / "few"
    shutil.copytree(digits / "real/class0", few)
    assert evaluate(few, digits / "fake", "--recipe", "pr50@digits") == 2
    assert "few has only 30 images, and pr50@digits takes 50: use --recipe pr30@digits" in capsys.readouterr().err


def test_recipes_are_listed(capsys):
    assert main(["recipes"]) == 0
    said = capsys.readouterr().out
    for name in ("METRICS NUMBER", "Fréchet inception distance", "suite", "digits", "inception"):
        assert name in said


def test_help_names_the_commands_and_their_arguments(capsys):
    assert main(["--help"]) == 0
    assert "recipes" in capsys.readouterr().out
    assert main(["evaluate", "--help"]) == 0
    said = capsys.readouterr().out
    assert "usage: gan-lightning evaluate" in said
    assert "--seeds" in said
    for arguments in ([], ["evalaute"], ["evaluate"], ["evaluate", "a", "b", "--nonsense", "1"]):
        assert main(arguments) == 2
        assert re.fullmatch("error: .*\n", capsys.readouterr().err)


def leaves(group, *names):
    for name, entry in group.commands.items():
        yield from leaves(entry, *names, name) if hasattr(entry, "commands") else [(*names, name)]


@pytest.mark.parametrize("names", list(leaves(COMMANDS)), ids=" ".join)
def test_every_command_has_its_help(names, capsys):
    if "plot" in names:
        pytest.importorskip("seaborn")
    assert main([*names, "--help"]) == 0
    assert f"usage: gan-lightning {' '.join(names)} " in capsys.readouterr().out


def program(*arguments, **settings):
    return subprocess.Popen(
        [sys.executable, "-m", "gan_lightning", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def test_the_program_compares_two_folders_without_lightning(digits, tmp_path):
    # a module that cannot be imported stands in Lightning's place
    (tmp_path / "lightning.py").write_text("raise ImportError('Lightning was imported')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    process = program("evaluate", digits / "real", digits / "fake", "--recipe", "fidfull@digits", env=environment)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "fidfull@digits: 60 images of" in out


def test_an_interrupted_program_says_so_and_harms_nothing(digits, tmp_path, cache):
    fake = tmp_path / "fake"
    fake.mkdir()
    image = next((digits / "fake").rglob("*.png")).read_bytes()
    for number in range(3000):  # one at a time, so that it takes a while
        (fake / f"{number}.png").write_bytes(image)
    how = "--recipe", "fidfull@digits", "--batch_size", "1", "--json", tmp_path / "r.json"
    process = program("evaluate", digits / "real", fake, *how)
    deadline = time.monotonic() + 60
    while not list(cache.glob("*.safetensors")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert not (tmp_path / "r.json").exists()
    assert len(list(cache.iterdir())) == 1
