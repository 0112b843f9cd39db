"""Pictures: their content and their labels."""

import json

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure

from gan_lightning.data.images import write_png
from gan_lightning.evaluation.pictures.canvas import write_figure
from gan_lightning.evaluation.pictures.curves import Curve, choose_columns, curve_figure, plot_curves, read_curves
from gan_lightning.evaluation.pictures.neighbours import (
    bring_to,
    find_neighbours,
    neighbour_figure,
    plot_neighbours,
)
from gan_lightning.evaluation.pictures.pairs import most_different, pair_figure, plot_pairs
from gan_lightning.evaluation.pictures.truncation import plot_truncation, truncation_figure
from gan_lightning.evaluation.report import Report
from gan_lightning.models import CycleGAN
from toys import ToyData, ToyGAN, ToyGenerator, read_png, trainer


@pytest.fixture
def reals(tmp_path):
    """A folder of twelve grey images, 4x4."""
    images = torch.randint(256, (12, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for number, image in enumerate(images):
        write_png(image, tmp_path / "reals" / f"{number:02d}.png")
    return tmp_path / "reals"


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint of a generator of 4x4 images."""
    fitted = trainer(tmp_path, max_epochs=1)
    fitted.fit(ToyGAN(generator=ToyGenerator(norm=True)), ToyData())
    fitted.save_checkpoint(tmp_path / "toy.ckpt")
    return tmp_path / "toy.ckpt"


def texts(figure):
    return [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]


class TestFiles:
    @pytest.mark.parametrize(("suffix", "starts"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
    def test_the_suffix_names_the_format(self, tmp_path, suffix, starts):
        out = tmp_path / "new" / f"picture{suffix}"
        write_figure(Figure(figsize=(1, 1)), out)
        assert out.read_bytes().startswith(starts)
        assert list(out.parent.iterdir()) == [out]

    def test_another_suffix_is_refused_before_the_work(self, tmp_path):
        for command in (plot_curves, plot_pairs, plot_neighbours, plot_truncation):
            paths = [tmp_path / "absent", tmp_path / "missing"][: 1 if command is plot_curves else 2]
            with pytest.raises(ValueError, match=r"picture\.gif cannot be written: .*\.png, \.pdf, \.svg"):
                command(*paths, tmp_path / "picture.gif")

    def test_a_picture_that_fails_leaves_the_one_before(self, tmp_path):
        class Failing(Figure):
            def savefig(self, path, **settings):
                path.write_bytes(b"half")
                raise OSError("disk full")

        out = tmp_path / "picture.png"
        out.write_bytes(b"before")
        with pytest.raises(OSError, match="disk full"):
            write_figure(Failing(), out)
        assert [(path, path.read_bytes()) for path in tmp_path.iterdir()] == [(out, b"before")]


class TestPairs:
    def test_the_features_that_differ_most_in_mean_and_spread_are_chosen(self):
        real = torch.randn(5000, 6, generator=torch.Generator().manual_seed(0))
        fake = real.clone()
        fake[:, 4] += 2
        fake[:, 1] *= 4
        fake[:, 3] += 0.5
        assert most_different(real, fake, 3) == [1, 4, 3]
        assert len(most_different(real[:, :2], fake[:, :2], 3)) == 2

    def test_it_shows_all_points_of_both_sets(self):
        real, fake = torch.zeros(30, 5), torch.ones(20, 5)
        figure = pair_figure(real, fake, features=[2, 0, 4])
        assert pyplot.get_fignums() == []  # of no window
        assert {"feature 2", "feature 0", "feature 4", "real", "generated"} <= set(texts(figure))
        scatters = [points for axes in figure.axes for points in axes.collections if len(points.get_offsets()) == 50]
        assert len(scatters) == 3
        offsets = np.asarray(scatters[0].get_offsets())
        assert (offsets.sum(axis=1) == 2).sum() == 20
        assert not (np.diff(offsets[:, 0]) >= 0).all()  # neither set lies on top

    def test_what_cannot_be_shown_is_refused(self):
        features = torch.zeros(4, 5)
        with pytest.raises(ValueError, match=r"no feature 5: the extractor has 5"):
            pair_figure(features, features, features=[0, 5])
        with pytest.raises(ValueError, match=r"\(4, 5\) and \(4, 6\)"):
            pair_figure(features, torch.zeros(4, 6))
        with pytest.raises(ValueError, match=r"\(4, 5\) and \(0, 5\)"):
            pair_figure(features, features[:0])

    def test_the_command(self, reals, checkpoint, tmp_path):
        for fake, name in ((checkpoint, "checkpoint"), (reals, "folder")):
            plot_pairs(reals, fake, tmp_path / f"{name}.png", extractor="digits", num=9, trusted=["toys"], device="cpu")
            assert read_png(tmp_path / f"{name}.png").shape[1] > 500


class TestNeighbours:
    @staticmethod
    def sets(seed=0):
        random = torch.Generator().manual_seed(seed)
        real = torch.randint(256, (40, 3, 4, 4), generator=random, dtype=torch.uint8)
        fake = torch.randint(256, (15, 3, 4, 4), generator=random, dtype=torch.uint8)
        return fake, real, torch.randn(15, 6, generator=random), torch.randn(40, 6, generator=random)

    def test_agrees_with_brute_force(self):
        fake, real, fake_features, real_features = self.sets()
        found = find_neighbours(fake, real, fake_features, real_features, k=3, rows=4)
        distances = torch.cdist(
            fake_features.double(), real_features.double(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        among_real = torch.cdist(real_features.double(), real_features.double()).fill_diagonal_(torch.inf)
        nearest = distances.argmin(dim=1)
        ratios = distances.amin(dim=1) / among_real.amin(dim=1)[nearest]
        rows = ratios.argsort()[:4]
        torch.testing.assert_close(found.suspicion, ratios[rows], rtol=1e-6, atol=0)
        assert torch.equal(found.fake, fake[rows])
        order = distances[rows].argsort(dim=1)[:, :3]
        assert torch.equal(found.by_features, real[order])
        torch.testing.assert_close(found.feature_distances, distances[rows].gather(1, order), rtol=1e-6, atol=0)
        difference = (fake[rows][:, None].double() - real[None].double()).square().mean(dim=(2, 3, 4)).sqrt()
        order = difference.argsort(dim=1)[:, :3]
        assert torch.equal(found.by_pixels, real[order])
        torch.testing.assert_close(found.pixel_distances, difference.gather(1, order), rtol=1e-6, atol=0)

    def test_copies_come_first_at_a_distance_of_zero(self):
        fake, real, fake_features, real_features = self.sets()
        fake[7], fake_features[7] = real[11], real_features[11]
        found = find_neighbours(fake, real, fake_features, real_features, k=1, rows=2)
        assert torch.equal(found.fake[0], real[11])
        assert torch.equal(found.by_features[0, 0], real[11])
        assert torch.equal(found.by_pixels[0, 0], real[11])
        assert found.suspicion[0] == found.feature_distances[0, 0] == found.pixel_distances[0, 0] == 0
        assert found.suspicion[1] > 0

    def test_images_that_the_set_holds_twice_are_found_again_too(self):
        fake, real, fake_features, real_features = self.sets()
        real_features[12] = real_features[11] + 1e-6  # extracted in another batch
        fake_features[7] = real_features[11]
        fake_features[8] = real_features[11] + 1e-3
        found = find_neighbours(fake, real, fake_features, real_features, k=2, rows=15)
        assert torch.equal(found.fake[:2], fake[7:9])
        assert found.suspicion[1] < 0.01 < found.suspicion[2]
        with pytest.raises(ValueError, match="each real image has a copy among the real ones"):
            find_neighbours(fake, real[:20].repeat(2, 1, 1, 1), fake_features, real_features[:20].repeat(2, 1))

    def test_too_few_images_are_refused(self):
        fake, real, fake_features, real_features = self.sets()
        with pytest.raises(
            ValueError, match="need 41 real images or more, and 1 generated one: there are 40 real and 15"
        ):
            find_neighbours(fake, real, fake_features, real_features, k=41)
        with pytest.raises(ValueError, match="there are 1 real"):
            find_neighbours(fake, real[:1], fake_features, real_features[:1], k=1)
        with pytest.raises(ValueError, match="and 0 generated"):
            find_neighbours(fake[:0], real, fake_features[:0], real_features, k=1)

    def test_real_images_are_brought_to_the_shape_of_generated_ones(self):
        grey = torch.randint(256, (2, 1, 8, 6), dtype=torch.uint8)
        assert torch.equal(bring_to(grey, (1, 8, 6)), grey)
        assert torch.equal(bring_to(grey, (3, 8, 6)), grey.expand(-1, 3, -1, -1))
        halved = bring_to(torch.full((2, 3, 8, 6), 200, dtype=torch.uint8), (1, 4, 3))
        assert torch.equal(halved, torch.full((2, 1, 4, 3), 200, dtype=torch.uint8))

    def test_the_picture_states_the_distances(self):
        found = find_neighbours(*self.sets(), k=3, rows=4)
        figure = neighbour_figure(found)
        assert sum(len(axes.images) for axes in figure.axes) == 4 * (1 + 3 + 3)
        written = texts(figure)
        assert written.count(f"ratio {found.suspicion[0]:.2f}") >= 1
        assert f"{found.feature_distances[3, 2]:.3g}" in written
        assert f"{found.pixel_distances[3, 2]:.3g}" in written

    def test_the_command(self, reals, checkpoint, tmp_path):
        for fake, name in ((checkpoint, "checkpoint"), (reals, "folder")):
            out = tmp_path / f"{name}.png"
            plot_neighbours(reals, fake, out, extractor="digits", num=6, rows=2, k=2, trusted=["toys"], device="cpu")
            assert read_png(out).shape[1] > 300
        write_png(torch.full((4, 4, 4), 99, dtype=torch.uint8), tmp_path / "rgba" / "a.png")
        plot_neighbours(reals, tmp_path / "rgba", out, extractor="digits")
        write_png(torch.zeros(1, 5, 4, dtype=torch.uint8), tmp_path / "mixed" / "a.png")
        write_png(torch.zeros(1, 4, 4, dtype=torch.uint8), tmp_path / "mixed" / "b.png")
        with pytest.raises(
            ValueError, match=r"mixed holds images of 1x5x4 and of 1x4x4 .* give generated images of one"
        ):
            plot_neighbours(reals, tmp_path / "mixed", out, extractor="digits")
        with pytest.raises(ValueError, match="k=0 is out of range: make it 1 or more"):
            plot_neighbours(reals, reals, out, k=0)
        with pytest.raises(ValueError, match="num=0 is out of range: make it 1 or more"):
            plot_neighbours(reals, reals, out, extractor="digits", num=0)


class TestTruncation:
    @staticmethod
    def report(truncation, fid, precision, recall):
        values = {"fid": [fid], "precision": [precision], "recall": [recall]}
        return Report("r", "e", "f", "p", "real", "fake", 10, 10, [0], values, 1.0, {"truncation": truncation})

    def test_the_figure_goes_from_the_smallest_truncation_to_none(self):
        reports = [self.report(None, 12, 0.5, 0.6), self.report(0.5, 30, 0.9, 0.1), self.report(2.0, 10.25, 0.6, 0.5)]
        left, right = truncation_figure(reports).axes
        assert [label.get_text() for label in left.get_xticklabels()] == ["0.5", "2", "none"]
        assert left.lines[0].get_ydata().tolist() == [30, 10.25, 12]
        (best,) = left.texts
        assert (best.get_text(), best.xy) == ("10.25", (1, 10.25))
        assert right.lines[0].get_xydata().tolist() == [[0.1, 0.9], [0.5, 0.6], [0.6, 0.5]]
        assert [text.get_text() for text in right.get_legend().get_texts()] == ["0.5", "2", "none"]

    def test_the_command_writes_the_picture_and_the_numbers(self, reals, checkpoint, tmp_path):
        out = tmp_path / "new" / "truncation.png"
        plot_truncation(
            reals, checkpoint, out, (2.0, 0.5), extractor="digits", num=1000, trusted=["toys"], device="cpu"
        )
        assert read_png(out).shape[1] > 300
        reports = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
        assert [report["settings"]["truncation"] for report in reports] == [2.0, 0.5, None]
        assert {(report["num_real"], report["num_fake"]) for report in reports} == {(12, 12)}
        assert len({report["values"]["fid"]["mean"] for report in reports}) == 3
        assert all(set(report["values"]) == {"fid", "precision", "recall"} for report in reports)

    def test_what_has_no_truncation_is_refused(self, reals, tmp_path):
        from models.test_cyclegan import cyclegan
        from tiny import data_for

        model = cyclegan()
        assert isinstance(model, CycleGAN)
        fitted = trainer(tmp_path, fast_dev_run=True)
        fitted.fit(model, data_for(model))
        fitted.save_checkpoint(tmp_path / "translator.ckpt")
        with pytest.raises(ValueError, match=r"translator\.ckpt holds a CycleGAN, which needs images to translate"):
            plot_truncation(reals, tmp_path / "translator.ckpt", tmp_path / "picture.png")
        with pytest.raises(ValueError, match=r"truncations\[1\]=-1.0 is out of range: make it above 0"):
            plot_truncation(reals, tmp_path / "translator.ckpt", tmp_path / "picture.png", truncations=(1.0, -1.0))
        with pytest.raises(FileNotFoundError, match=r"absent\.ckpt"):
            plot_truncation(reals, tmp_path / "absent.ckpt", tmp_path / "picture.png")


HEADER = "epoch,images_seen,loss/generator,step,val/fid,val/kid,val/kid_std"


class TestCurves:
    @staticmethod
    def run(folder, *rows, header=HEADER, end="\n"):
        folder.mkdir(exist_ok=True)
        (folder / "metrics.csv").write_text("\n".join([header, *rows]) + end)
        return folder

    @staticmethod
    def line(images, recipe="fid2k_train", complete=True, stage="val", **values):
        settings = {"stage": stage, "images_seen": images, "complete": complete}
        values = {name: [value] for name, value in values.items()}
        return Report(recipe, "e", "f", "p", "real", "fake", 10, 10, [0], values, 1.0, settings).as_json()

    def test_evaluations_are_placed_by_the_images_seen_at_their_step(self, tmp_path):
        run = self.run(
            tmp_path,
            "0,,,0,90,3,.2",
            "0,80,1.5,9,,,",
            "1,240,1.0,29,,,",
            "1,,,19,50,2,.1",  # of another order than is ever written: by itself evaluated, and left out
            "1,,,29,30,1,.1",
            "2,,,39,20,1,.1",  # after the last that was logged
        )
        curves = read_curves(run)
        assert curves["loss/generator"] == Curve([80, 240], [1.5, 1.0], None, evaluated=False)
        assert curves["val/fid"] == Curve([0, 240, 320], [90, 30, 20])
        assert curves["val/kid"] == Curve([0, 240, 320], [3, 1, 1], [0.2, 0.1, 0.1])
        assert set(curves) == {"loss/generator", "val/fid", "val/kid"}

    def test_a_step_between_two_logged_ones_is_interpolated(self, tmp_path):
        run = self.run(tmp_path, "0,80,1.5,9,,,", "1,,,19,50,2,.1", "1,240,1.0,29,,,")
        assert read_curves(run)["val/fid"].images == [pytest.approx(160)]

    def test_what_a_resumed_run_did_again_counts_once(self, tmp_path):
        run = self.run(
            tmp_path,
            "0,80,1,9,,,",
            "0,160,2,19,,,",
            "0,,,19,50,2,.1",
            "1,240,3,29,,,",
            "1,160,4,19,,,",
            "1,,,19,40,1,.1",
            "1,240,5,29,,,",
        )
        curves = read_curves(run)
        assert curves["loss/generator"] == Curve([80, 160, 240], [1, 4, 5], None, evaluated=False)
        assert curves["val/fid"] == Curve([160], [40])

    def test_evaluating_a_checkpoint_later_does_not_disturb_the_curve(self, tmp_path):
        run = self.run(tmp_path, "0,80,1,9,,,", "0,,,9,50,2,.1", "0,,,0,49,2,.1")
        assert read_curves(run)["val/fid"] == Curve([80], [50])

    def test_unfinished_lines_are_left_out(self, tmp_path):
        run = self.run(tmp_path, "0,80,1.5,9,,,", "0,,,9,50,2,.1", "1,160,1.25", end="")
        assert read_curves(run)["loss/generator"].values == [1.5]
        self.run(tmp_path, "0,80,1.5,9,,,", "1,160,1.1,160,1.25,19,,,", "1,160,1.25,19,,,")
        with pytest.warns(UserWarning, match=r"metrics\.csv, line 3, is not a whole line of a run"):
            assert read_curves(run)["loss/generator"].values == [1.5, 1.25]
        (tmp_path / "evaluations.jsonl").write_text(self.line(80, fid=5)[:30] + self.line(80, fid=5) + "\n")
        with (
            pytest.warns(UserWarning, match=r"evaluations\.jsonl, line 1"),
            pytest.warns(UserWarning, match=r"metrics\.csv, line 3"),
        ):
            assert set(read_curves(run)) == {"loss/generator"}

    @pytest.mark.parametrize(
        "line",
        [
            "7", "[]", "null", '"x"', "{}", "[" * 100_000, '{"settings": 3}', '{"settings": {"images_seen": 80}}',
            '{"recipe": "a", "settings": {"images_seen": "many"}, "values": {}}',
            '{"recipe": "a", "settings": {"images_seen": Infinity}, "values": {}}',
            '{"recipe": "a", "settings": {"images_seen": 8}, "values": [1]}',
            '{"recipe": "a", "settings": {"images_seen": 8}, "values": {"fid": 3}}',
            '{"recipe": "a", "settings": {"images_seen": 8}, "values": {"fid": {"each": [[]]}}}',
            '{"recipe": "a", "settings": {"images_seen": 8}, "values": {"fid": {"each": [1' + "0" * 400 + "]}}}",
        ],
    )  # fmt: skip
    def test_a_line_that_is_no_report_is_left_out(self, line, tmp_path):
        (tmp_path / "evaluations.jsonl").write_text(line + "\n" + self.line(80, fid=5) + "\n")
        with pytest.warns(UserWarning, match=r"evaluations\.jsonl, line 1, is not a whole line of a run"):
            assert read_curves(tmp_path) == {"fid2k_train/fid": Curve([80], [5])}

    @pytest.mark.parametrize("row", ["0,inf,1,9,,,", "0,80,1,nan,,,", "0,80,x,9,,,", "0,80,1,,,,", "\0,80,1,9,,,", "é"])
    def test_a_row_that_is_none_is_left_out(self, row, tmp_path):
        run = self.run(tmp_path, row, "0,160,1.5,19,,,")
        with pytest.warns(UserWarning, match=r"metrics\.csv, line 2"):
            assert read_curves(run)["loss/generator"] == Curve([160], [1.5], evaluated=False)

    @pytest.mark.parametrize("content", [b"\n", b"a,b\n1,2\n", b"\x00\n1\n", b"\xff\xfe\n", b"x" * 200_000 + b"\n"])
    def test_a_table_of_something_else_is_refused(self, content, tmp_path):
        (tmp_path / "metrics.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"metrics\.csv has no column step"):
            read_curves(tmp_path)

    def test_names_are_drawn_as_they_are(self, tmp_path):
        report = json.loads(self.line(80, fid=5))
        report["values"] = {"$\\frac{$ %s \n": report["values"]["fid"], "inf": {"each": [float("inf")]}}
        (tmp_path / "$x_{$").mkdir()
        (tmp_path / "$x_{$" / "evaluations.jsonl").write_text(json.dumps(report) + "\n")
        plot_curves(tmp_path / "$x_{$", tmp_path / "out.png")
        assert (tmp_path / "out.png").exists()

    def test_reports_stand_in_for_the_table_by_recipe(self, tmp_path):
        run = self.run(tmp_path, "0,80,1.5,9,,,", "0,,,9,50,2,.1")
        lines = [
            self.line(80, fid=50, kid=2, kid_std=0.5),
            self.line(80, fid=52, kid=2, kid_std=0.25),  # another seed
            self.line(160, fid=30, kid=1, kid_std=0.5),
            self.line(160, fid=1000, complete=False, kid=1, kid_std=0.5),
            self.line(160, recipe="fid10k_test", fid=35),
            self.line(160, recipe="custom", stage="test", fid=36),
        ]
        (run / "evaluations.jsonl").write_text("\n".join(lines) + "\n")
        curves = read_curves(run)
        assert curves["fid2k_train/fid"] == Curve([80, 160], [51, 30])
        assert curves["fid2k_train/kid"] == Curve([80, 160], [2, 1], [0.375, 0.5])
        assert curves["fid10k_test/fid"] == Curve([160], [35])
        assert curves["test/fid"] == Curve([160], [36])
        assert "val/fid" not in curves
        assert "loss/generator" in curves
        (run / "metrics.csv").unlink()
        assert set(read_curves(run)) == set(curves) - {"loss/generator"}

    def test_a_short_table(self, tmp_path):
        assert read_curves(self.run(tmp_path)) == {}
        assert read_curves(self.run(tmp_path, "0,,,0,90,3,.2"))["val/fid"] == Curve([0], [90])
        with pytest.raises(ValueError, match=r"metrics\.csv has no column images_seen .*log_every_n_steps"):
            read_curves(self.run(tmp_path, "0,,,0,90,3,.2", "0,,,9,80,3,.2"))
        with pytest.raises(FileNotFoundError, match=r"none holds neither metrics\.csv nor evaluations\.jsonl"):
            read_curves(tmp_path / "none")

    def test_the_choice_of_metrics(self):
        runs = {
            "a": {"loss/generator": Curve([1], [1], None, evaluated=False), "val/fid": Curve([1], [1])},
            "b": {"fid2k_train/fid": Curve([1], [1]), "val/recall": Curve([1], [1])},
        }
        assert choose_columns(runs, None) == ["val/fid", "fid2k_train/fid", "val/recall"]
        assert choose_columns(runs, ["fid", "loss/generator", "val/fid"]) == [
            "val/fid",
            "fid2k_train/fid",
            "loss/generator",
        ]
        with pytest.raises(ValueError, match="no run has a metric 'kid'; there are loss/generator, val/fid"):
            choose_columns(runs, ["kid"])
        with pytest.raises(ValueError, match="no evaluation has been made yet in a; what was logged is loss/generator"):
            choose_columns({"a": {"loss/generator": runs["a"]["loss/generator"]}}, None)

    def test_a_panel_a_metric_a_line_a_run_and_the_best_marked(self):
        runs = {
            "a": {"val/fid": Curve([0, 10, 20], [300, 8, 9]), "val/recall": Curve([0, 10], [0.1, 0.5], [0.1, 0.1])},
            "b": {"val/fid": Curve([0, 20], [310, 7.5]), "loss/generator": Curve([0, 10], [1, 2], None, False)},
        }
        figure = curve_figure(runs, ["val/fid", "val/recall", "loss/generator", "val/fid"])
        fid, recall, loss, _ = figure.axes
        assert [line.get_xydata().tolist() for line in fid.lines] == [
            [[0, 300], [10, 8], [20, 9]],
            [[10, 8]],
            [[0, 310], [20, 7.5]],
            [[20, 7.5]],
        ]
        assert [text.get_text() for text in fid.texts] == ["7.5"]
        assert "lower is better" in fid.get_title(loc="left")
        assert fid.get_yscale() == "log"
        assert recall.lines[1].get_xydata().tolist() == [[10, 0.5]]
        assert len(recall.collections) == 1  # the band
        assert "higher is better" in recall.get_title(loc="left")
        assert recall.get_yscale() == "linear"
        assert len(loss.lines) == 1
        assert "better" not in loss.get_title(loc="left")
        assert loss.lines[0].get_color() == fid.lines[2].get_color()  # a run keeps its colour
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "best of a run"]

    @pytest.mark.parametrize(
        ("metric", "better"),
        [
            ("val/class_fid_worst", "lower"),
            ("swd_112x92", "lower"),
            ("suite10k_test/inception_score_infinity", "higher"),
            ("val/cas", "higher"),
            ("val/lpips_diversity", None),
            ("val/class_fid_worst_class", None),  # the number of a class
            ("val/authenticity_baseline", None),
            ("loss/generator", None),
        ],
    )
    def test_the_best_is_marked_only_where_there_is_one(self, metric, better):
        (axes,) = curve_figure({"a": {metric: Curve([0, 10], [2, 3])}}, [metric]).axes
        marked = [line.get_xydata().tolist() for line in axes.lines[1:]]
        assert marked == {"lower": [[[0, 2]]], "higher": [[[10, 3]]], None: []}[better]

    def test_a_value_to_compare_with_is_a_dashed_line(self, tmp_path):
        runs = {"a": {"val/nats": Curve([0, 10], [90, 85]), "val/fid": Curve([0, 10], [9, 8])}}
        nats, fid = curve_figure(runs, ["val/nats", "val/fid"], {"nats": 81.5}).axes
        assert [line.get_ydata() for line in nats.lines if line.get_linestyle() == "--"] == [[81.5, 81.5]]
        assert [text.get_text() for text in nats.get_legend().get_texts()] == ["81.5"]
        assert "--" not in [line.get_linestyle() for line in fid.lines]
        folder = self.run(tmp_path, "0,80,1.5,9,,,", "0,,,9,50,2,.1")
        with pytest.raises(ValueError, match=r"levels: no curve is drawn of nats; there are"):
            plot_curves(folder, tmp_path / "out.png", levels={"nats": 81.5})

    def test_of_equally_good_values_the_first_is_marked(self):
        runs = {"a": {"val/precision": Curve([0, 10, 20], [1, 1, 1])}}
        (axes,) = curve_figure(runs, ["val/precision"]).axes
        assert axes.lines[1].get_xydata().tolist() == [[0, 1]]

    def test_the_command(self, tmp_path):
        rows = ["0,80,1.5,9,,,", "0,,,9,50,2,.1", "1,160,1.4,19,,,", "1,,,19,40,2,.1"]
        (tmp_path / "x").mkdir()
        runs = [self.run(tmp_path / place, *rows) for place in ("x/seed0", "x/seed1", "y")]
        for name, arguments in {"one": (), "three": (runs[1:], ["fid", "loss/generator"])}.items():
            out = tmp_path / f"{name}.png"
            plot_curves(runs[0], out, *arguments)
            assert read_png(out).shape[1] > 300

    def test_a_real_run(self, tmp_path):
        from gan_lightning.training.loggers import RunCSVLogger

        fitted = trainer(tmp_path, max_epochs=2, logger=RunCSVLogger(str(tmp_path)), log_every_n_steps=1)
        fitted.fit(ToyGAN(), ToyData(batches=4, size=8))
        curve = read_curves(tmp_path)["loss/generator"]
        assert curve.images == [8 * batch for batch in range(1, 9)]
