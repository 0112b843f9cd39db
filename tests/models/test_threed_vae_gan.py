"""3D-VAE-GAN: its published encoder, its terms, and shapes of pictures."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_lightning.data.batches import DepictedBatch, VoxelBatch
from gan_lightning.data.images import to_float, to_uint8, write_png
from gan_lightning.data.voxels import read_voxels
from gan_lightning.export import load, save
from gan_lightning.latent.commands.images import sample
from gan_lightning.models import ThreeDVAEGAN
from gan_lightning.networks import ThreeDGANDiscriminator, ThreeDGANGenerator, ThreeDVAEGANEncoder
from models.test_dcgan import dcgan
from models.test_threed_gan import SIZE, blobs
from tiny import data_for, images
from toys import checkpoint, read_png, trainer


def threed_vae_gan(**how: Any) -> ThreeDVAEGAN:
    how = {"accuracy_limit": 1, "alpha_kl": 0.01, "alpha_reconstruction": 0.01, **how}
    networks = ThreeDVAEGANEncoder(6, 16, 1, 4), ThreeDGANGenerator(6, SIZE, 4), ThreeDGANDiscriminator(SIZE, 4)
    return ThreeDVAEGAN(*networks, **how)


def threed_vae_gan_batch(count: int = 4, seed: int = 0) -> DepictedBatch:
    return DepictedBatch(images(count, 1, seed), blobs(count, seed))


def test_the_encoder_has_the_published_layers() -> None:
    with torch.device("meta"):
        encoder = ThreeDVAEGANEncoder()
        assert encoder(torch.zeros(2, 3, 256, 256)).shape == (2, 2, 200)
    kernels = [11 * 11 * 3 * 64, 25 * 64 * 128, 25 * 128 * 256, 25 * 256 * 512, 64 * 512 * 400]
    layers = [part for part in encoder.modules() if isinstance(part, nn.Conv2d)]
    assert [part.weight.numel() for part in layers] == kernels
    assert sum(kernels) == 17_431_232
    assert [part.stride[0] for part in layers] == [4, 2, 2, 2, 1]
    assert [part.kernel_size[0] for part in layers] == [11, 5, 5, 5, 8]
    with pytest.raises(ValueError, match=r"image_size must be a multiple of 8, 16 or more, not 20"):
        ThreeDVAEGANEncoder(image_size=20)


def test_the_terms_by_hand() -> None:
    torch.manual_seed(0)
    model, batch = threed_vae_gan(alpha_kl=0.5, alpha_reconstruction=0.25).train(), threed_vae_gan_batch()
    fake = model.draw_fakes(batch)
    terms = model.generator_loss(batch, fake)
    kl = 0.5 * (fake.mean**2 + fake.std**2 - 1) - fake.std.log()
    torch.testing.assert_close(terms["kl"], 0.5 * kl.sum(1).mean())
    square = ((fake.reconstructed + 1) / 2 - (batch.voxels + 1) / 2).square().sum((1, 2, 3, 4)).mean()
    torch.testing.assert_close(terms["reconstruction"], 0.25 * square)
    torch.testing.assert_close(terms["adversarial"], bce(model.discriminator(fake.sampled), torch.ones(4)))
    (d_loss,) = model.discriminator_loss(batch, fake).values()
    real, made = model.discriminator(batch.voxels), model.discriminator(fake.sampled)
    torch.testing.assert_close(d_loss, bce(real, torch.ones(4)) + bce(made, torch.zeros(4)))


def test_each_network_learns_from_its_own_terms() -> None:
    """E from L_KL and L_recon, G from L_recon and the adversarial loss."""
    model, batch = threed_vae_gan(), threed_vae_gan_batch()
    terms = model.generator_loss(batch, model.draw_fakes(batch))
    e, g = next(model.encoder.parameters()), next(model.generator.parameters())
    moved = {
        name: [grad is not None for grad in torch.autograd.grad(term, (e, g), retain_graph=True, allow_unused=True)]
        for name, term in terms.items()
    }
    assert moved == {"kl": [True, False], "reconstruction": [True, True], "adversarial": [False, True]}


def test_the_published_weights_are_the_defaults() -> None:
    with torch.device("meta"):
        model = ThreeDVAEGAN()
    assert (model.alpha_kl, model.alpha_reconstruction, model.handicap.limit) == (5, 1e-4, 0.8)


def test_shapes_are_made_of_pictures_and_of_noise(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = threed_vae_gan(ema_half_life=20)
    trainer(max_epochs=2).fit(model, data_for(model, batches=2))
    batch = threed_vae_gan_batch(3)
    made = model.generate(batch)
    assert made.shape == batch.voxels.shape
    torch.testing.assert_close(model.generate(DepictedBatch(*batch[:2]))[1:2], made[1:2])  # nothing is drawn
    assert model.sample(2, seed=0).shape == (2, 1, SIZE, SIZE, SIZE)

    pictures = to_uint8(batch.images)
    expected = model.generate(DepictedBatch(to_float(pictures), batch.voxels))
    for number, picture in enumerate(pictures):
        write_png(picture, tmp_path / "pictures" / f"{number}.png")
    path = checkpoint(model, tmp_path / "model.ckpt")
    sample(path, tmp_path / "made", images=tmp_path / "pictures", device="cpu")
    for number, output in enumerate(to_uint8(model.render(expected))):
        torch.testing.assert_close(read_png(tmp_path / "made" / f"{number}.png"), output, atol=1, rtol=0)
    save(model.sampler, tmp_path / "export")
    assert torch.equal(load(tmp_path / "export").encode(batch.images), model.sampler.encode(batch.images))
    sample(tmp_path / "export", tmp_path / "shapes", images=tmp_path / "pictures", format="npz", device="cpu")
    found = read_voxels(tmp_path / "shapes" / "1.npz")
    assert (torch.from_numpy(found) == (expected[1] > 0)).float().mean() > 0.999


def test_a_model_without_an_encoder_makes_nothing_of_pictures(tmp_path: Path) -> None:
    write_png(torch.zeros(1, 16, 16, dtype=torch.uint8), tmp_path / "a.png")
    path = checkpoint(dcgan(), tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=r"DCGANGenerator has no encoder, .*leave --images out"):
        sample(path, tmp_path / "made", images=tmp_path / "a.png", device="cpu")
    with pytest.raises(ValueError, match=r"in place of seeds, n, classes"):
        sample(path, tmp_path / "made", images=tmp_path / "a.png", n=2, device="cpu")
    with pytest.raises(ValueError, match=r"cannot be written as .obj: choose among png"):
        sample(path, tmp_path / "made", n=2, format="obj", device="cpu")


def test_latents_of_two_lengths_and_the_wrong_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"generator's z has 6 components, and the encoder states 5"):
        ThreeDVAEGAN(ThreeDVAEGANEncoder(5, 16, 1, 4), ThreeDGANGenerator(6, SIZE, 4), ThreeDGANDiscriminator(SIZE, 4))
    with pytest.raises(TypeError, match=r"ThreeDVAEGAN learns from .* DepictedBatch .* serve VoxelBatch"):
        trainer(max_epochs=1).fit(threed_vae_gan(), type(data_for(threed_vae_gan()))([VoxelBatch(blobs(2, 0))]))
