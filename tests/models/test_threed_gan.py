"""3D-GAN: its published networks, losses, prior, and a discriminator that rests while it is too strong."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.callbacks import Evaluation
from gan_lightning.data.batches import ImageBatch, Role, VoxelBatch
from gan_lightning.data.shading import shaded
from gan_lightning.data.voxels import read_voxels
from gan_lightning.latent import LatentSpace, image_names
from gan_lightning.latent.commands.images import interpolate, sample
from gan_lightning.losses import Wasserstein
from gan_lightning.models import ThreeDGAN
from gan_lightning.networks import ThreeDGANDiscriminator, ThreeDGANGenerator
from models.test_dcgan import dcgan
from tiny import data_for
from toys import checkpoint, read_png, trainer

SIZE = 16


def threed_gan(**how: Any) -> ThreeDGAN:
    how = {"accuracy_limit": 1, **how}  # turns that tests count
    return ThreeDGAN(ThreeDGANGenerator(6, SIZE, 4), ThreeDGANDiscriminator(SIZE, 4), **how)


def blobs(count: int, seed: int) -> Tensor:
    coarse = torch.rand(count, 1, 4, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, SIZE, mode="trilinear").sign()


def threed_gan_batch(count: int = 4, seed: int = 0) -> VoxelBatch:
    return VoxelBatch(blobs(count, seed))


def counts(network: nn.Module) -> tuple[int, int]:
    """Numbers of the weights of convolutions and linear layers, and of batch norm."""
    norms = sum(p.numel() for part in network.modules() if isinstance(part, nn.BatchNorm3d) for p in part.parameters())
    return sum(p.numel() for p in network.parameters()) - norms, norms


def test_the_networks_have_the_published_layers() -> None:
    with torch.device("meta"):
        model = ThreeDGAN()
        assert model.generator(torch.zeros(2, 200)).shape == (2, 1, 64, 64, 64)
        shapes = torch.zeros(2, 1, 64, 64, 64)
        assert model.discriminator(shapes).shape == (2,)
        assert model.discriminator.descriptors(shapes).shape == (2, 7168)
    g = [200 * 512, 512 * 256, 256 * 128, 128 * 64, 64]
    d = [64, 64 * 128, 128 * 256, 256 * 512, 512]
    norms = 2 * (64 + 128 + 256 + 512)
    assert counts(model.generator) == (64 * sum(g), norms) == (17_567_744, norms)
    assert counts(model.discriminator) == (64 * sum(d), norms) == (11_046_912, norms)


def test_the_optimizers_are_the_papers() -> None:
    d, g = threed_gan().configure_optimizers()
    assert (d.param_groups[0]["lr"], g.param_groups[0]["lr"]) == (1e-5, 2.5e-3)
    assert d.param_groups[0]["betas"] == g.param_groups[0]["betas"] == (0.5, 0.999)


def test_losses_are_cross_entropies() -> None:
    torch.manual_seed(0)
    model = threed_gan().train()
    batch = threed_gan_batch()
    fake = model.draw_fakes(batch)
    (d_loss,) = model.discriminator_loss(batch, fake).values()
    (g_loss,) = model.generator_loss(batch, fake).values()
    real_logits, fake_logits = model.discriminator(batch.voxels), model.discriminator(fake)
    torch.testing.assert_close(d_loss, bce(real_logits, torch.ones(4)) + bce(fake_logits, torch.zeros(4)))
    torch.testing.assert_close(g_loss, bce(fake_logits, torch.ones(4)))


def test_latents_are_uniform_from_zero_to_one() -> None:
    torch.manual_seed(0)
    z = threed_gan().latents(20_000)
    assert 0 <= z.min() < 1e-3
    assert 0.999 < z.max() <= 1
    assert (z.mean() - 0.5).abs() < 0.01


def test_empty_space_is_what_a_grid_is_padded_with() -> None:
    """An empty grid and its surroundings look alike to D: without a bias, every map of the first layer is 0."""
    d = ThreeDGANDiscriminator(SIZE, 4)
    assert not d.layers[0][0]((-torch.ones(1, 1, SIZE, SIZE, SIZE) + 1) / 2).any()
    before = []
    d.layers[0][0].register_forward_pre_hook(lambda module, inputs: before.append(inputs[0]))
    d(torch.tensor([-1.0, 1.0])[:, None, None, None, None].expand(2, 1, SIZE, SIZE, SIZE))
    assert before[0][0].unique().tolist() == [0]
    assert before[0][1].unique().tolist() == [1]


def test_the_generator_states_what_it_makes() -> None:
    model = threed_gan()
    made = model.sample(3, seed=0)
    assert made.shape == (3, 1, SIZE, SIZE, SIZE)
    assert model.sampler.makes is Role.VOXELS
    assert torch.equal(model.render(made), shaded(made))
    pictures, columns = model.preview(threed_gan_batch(), 4)
    assert (pictures.shape, columns) == ((4, 1, 2 * SIZE, 2 * SIZE), 2)


class Judge(nn.Module):
    """A discriminator that is right in a share of cases, whatever it sees."""

    def __init__(self, right: float) -> None:
        super().__init__()
        self.right, self.bias = right, nn.Parameter(torch.zeros(()))

    def forward(self, shapes: Tensor) -> Tensor:
        real = bool((shapes.abs() == 1).all())
        side = torch.where(torch.arange(len(shapes)) < self.right * len(shapes), 1.0, -1.0)
        return side * (1 if real else -1) + 0 * (self.bias + shapes.flatten(1).sum(1))


@pytest.mark.parametrize(("right", "steps"), [(0.75, 5), (1.0, 1)])
def test_the_discriminator_rests_if_its_last_accuracy_was_above_the_limit(right: float, steps: int) -> None:
    model = threed_gan(accuracy_limit=0.8)
    model.discriminator = Judge(right)
    seen: list[str] = []
    minimize = model.minimize
    model.minimize = lambda player, *losses: (seen.append(player), minimize(player, *losses))  # type: ignore
    run = trainer(max_epochs=1)
    run.fit(model, data_for(model, batches=5))
    assert seen.count("discriminator") == steps  # the first batch has no batch before it
    assert seen.count("generator") == run.global_step == model.batches_seen == 5
    assert model.counters.turns["discriminator"] == 5
    assert float(model.records["discriminator_accuracy"]) == right
    assert "loss/discriminator/adversarial" in model.records


def test_batches_are_counted_on_which_nobody_learns() -> None:
    model = threed_gan(accuracy_limit=0.8, n_critic=3)
    model.discriminator = Judge(1.0)
    run = trainer(max_steps=6)
    run.fit(model, data_for(model, batches=4))
    assert run.global_step == model.batches_seen == 6


def test_the_accuracy_of_the_last_batch_is_part_of_a_checkpoint(tmp_path: Path) -> None:
    model = threed_gan(accuracy_limit=0.8)
    keep = ModelCheckpoint(tmp_path, filename="last")
    trainer(tmp_path, max_epochs=1, enable_checkpointing=True, callbacks=[keep]).fit(model, data_for(model))
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["gan_lightning"]["resume_state"]
    assert state["handicap"] == {"accuracy": model.handicap.accuracy}
    assert 0 <= model.handicap.accuracy <= 1


def test_a_critic_has_no_accuracy() -> None:
    with pytest.raises(ValueError, match=r"accuracy_limit=0.8 needs .* Wasserstein trains a critic: set"):
        threed_gan(accuracy_limit=0.8, loss=Wasserstein())


def test_what_does_not_fit_is_refused_before_the_first_step() -> None:
    for wrong, kind, match in (
        (ImageBatch(torch.zeros(2, 1, 16, 16)), TypeError, "ThreeDGAN learns from .* VoxelBatch"),
        (VoxelBatch(torch.zeros(2, 1, 32, 32, 32)), ValueError, "makes the shape 1x16x16x16, but the data serve"),
        (VoxelBatch(torch.full((2, 1, 16, 16, 16), 2.0)), ValueError, r"takes float voxels in \[-1, 1\]"),
    ):
        model = threed_gan()
        with pytest.raises(kind, match=match):
            trainer(max_epochs=1).fit(model, type(data_for(model))([wrong]))
        assert model.batches_seen == 0


def test_shapes_are_written_as_files_and_gone_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    torch.manual_seed(0)
    model = threed_gan()
    nn.init.normal_(model.generator.net[-1].weight, std=1)
    path = checkpoint(model, tmp_path / "model.ckpt")
    sample(path, tmp_path / "voxels", seeds="3:0-2", format="npz", device="cpu")
    assert "3 shapes written into" in capsys.readouterr().out
    expected = model.sample(3, seed=3)
    for number in range(3):
        found = torch.from_numpy(read_voxels(tmp_path / "voxels" / f"3-00000{number}.npz"))
        assert torch.equal(found, expected[number] > 0)
    sample(path, tmp_path / "meshes.zip", seeds="3", format="obj", device="cpu")
    with zipfile.ZipFile(tmp_path / "meshes.zip") as archive:
        assert archive.read("3-000000.obj").startswith(b"v ")
    sample(path, tmp_path / "grid.png", seeds="3:0-3", device="cpu")
    assert read_png(tmp_path / "grid.png").shape == (1, 2 * (2 * SIZE + 2) + 2, 2 * (2 * SIZE + 2) + 2)
    with pytest.raises(ValueError, match=r"is one picture, and --format npz writes files"):
        sample(path, tmp_path / "grid.png", format="npz", device="cpu")
    with pytest.raises(ValueError, match=r"cannot be written as \.stl: choose among png, npz, obj, ply"):
        sample(path, tmp_path / "other", format="stl", device="cpu")

    space = LatentSpace(model.sampler, way="line")
    a, b = space.points(image_names("0-1"))
    (middle,) = space.between(a[None], b[None], torch.tensor([0.5]))
    torch.testing.assert_close(middle, (a + b) / 2)
    for way in ("arc", "line"):
        interpolate(path, tmp_path / f"{way}.png", seeds="0,1", steps=3, way=way, device="cpu")
    arc, line = (read_png(tmp_path / f"{way}.png").float() for way in ("arc", "line"))
    width = 2 * SIZE + 2
    assert torch.equal(arc[:, :, :width], line[:, :, :width])
    assert not torch.equal(arc, line)


def test_evaluations_measure_shapes_and_refuse_them_for_images(tmp_path: Path) -> None:
    model = threed_gan()
    (values,) = trainer(tmp_path, callbacks=[Evaluation("shapesfull_test")]).validate(
        model, data_for(model, batches=2), verbose=False
    )
    for distance in ("iou", "chamfer"):
        assert values[f"val/matching_distance_{distance}"] > 0
        assert 0 < values[f"val/coverage_{distance}"] <= 1
    with pytest.raises(TypeError, match=r"ShapeDistances measures voxels, and DCGAN makes images: name a recipe"):
        trainer(tmp_path, callbacks=[Evaluation("shapesfull_test")]).validate(dcgan(), data_for(dcgan()))
