import pytest

from benchmarks import mixtures
from gan_lightning.metrics.modes import mixture_coverage


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_the_mixture_itself_covers_all_of_its_modes(name, modes):
    mixture = mixtures.MIXTURES[name]()
    covered = mixture_coverage(mixture.draw(2500), mixture.means, mixture.std)
    assert len(mixture.means) == covered["modes_covered_fairly"] == modes
    assert covered["high_quality"] > 0.97


@pytest.mark.parametrize("objective", mixtures.OBJECTIVES)
def test_every_objective_takes_a_step(objective):
    points, covered = mixtures.fit(objective, mixtures.ring(), steps=6)
    assert points.shape == (mixtures.SAMPLES, 2)
    assert covered["modes_covered_fairly"] < 8


@pytest.mark.parametrize("objective", ["GAN, non-saturating", "LSGAN"])
def test_objectives_find_the_ring(objective):
    _, covered = mixtures.fit(objective, mixtures.ring(), steps=1200)
    assert covered["modes_covered"] >= 6
    assert covered["high_quality"] > 0.5


def test_the_table_and_the_picture(tmp_path, capsys):
    mixtures.main(["--steps=3", "--only", "GMMN", f"--picture={tmp_path / 'points.png'}"])
    assert "| GMMN | 0 |" in capsys.readouterr().out
    assert (tmp_path / "points.png").stat().st_size > 1000
