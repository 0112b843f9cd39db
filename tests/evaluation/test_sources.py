import shutil
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from datamodules.decode import Decoder
from gan_lightning.data.images import to_uint8
from gan_lightning.evaluation import sources
from gan_lightning.evaluation.sources import FolderImages, GeneratedImages, load_sampler
from gan_lightning.models import CycleGAN
from toys import ToyGAN, ToyGenerator, checkpoint


def write(path, *shape, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, level, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Seven grey images of levels 0 to 6, in two classes."""
    for level in range(7):
        write(tmp_path / "images" / ("cats" if level < 4 else "dogs") / f"{level}.png", 8, 8, level=level)
    return tmp_path / "images"


def levels(images):
    return [int(image[0, 0, 0]) for batch in images for image in batch.images]


def test_a_folder_is_served_in_order_in_batches(folder):
    images = FolderImages(folder, batch_size=3)
    batches = list(images)
    assert len(images) == 7
    assert [tuple(batch.images.shape) for batch in batches] == [(3, 1, 8, 8), (3, 1, 8, 8), (1, 1, 8, 8)]
    assert all(batch.images.dtype == torch.uint8 and batch.labels is None for batch in batches)
    assert levels(images) == levels(images) == list(range(7))


def test_images_of_other_sizes_or_channels_get_batches_of_their_own(tmp_path):
    for number, shape in enumerate([(8, 8), (8, 8), (8, 9), (8, 9, 3), (8, 9, 3), (8, 8)]):
        write(tmp_path / f"{number}.png", *shape)
    shapes = [tuple(batch.images.shape) for batch in FolderImages(tmp_path)]
    assert shapes == [(2, 1, 8, 8), (1, 1, 8, 9), (2, 3, 8, 9), (1, 1, 8, 8)]


def test_16_bit_images_are_divided_by_257_and_rounded(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(values).save(tmp_path / "deep.png")
    (batch,) = FolderImages(tmp_path)
    assert batch.images.dtype == torch.uint8
    assert (batch.images[0, 0].numpy() == np.rint(values / 257)).all()


def test_images_are_brought_to_one_size_as_data_modules_do_it(tmp_path):
    random = np.random.default_rng(0)
    for number, shape in enumerate([(30, 20), (13, 40, 3), (16, 12, 4), (9, 9, 3)]):
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(tmp_path / f"{number}.png")
    deep = np.asarray(Image.fromarray(random.random((5, 5), np.float32)).resize((25, 20))) * 65535
    Image.fromarray(deep.clip(0, 65535).astype(np.uint16)).save(tmp_path / "4.png")
    images = [image for batch in FolderImages(tmp_path, size=(16, 12)) for image in batch.images]
    assert [tuple(image.shape) for image in images] == [(1, 16, 12), *[(3, 16, 12)] * 3, (1, 16, 12)]
    for number, image in enumerate(images):
        expected = Decoder((16, 12), channels=len(image))(tmp_path / f"{number}.png").astype(int)
        # 16 bits become 8 there after the resize, and here before
        assert np.abs(image.numpy() - expected).max() <= (number == 4)


def test_sub_folders_are_classes_where_asked(folder):
    images = FolderImages(folder, batch_size=5, labelled=True)
    assert images.classes == ["cats", "dogs"]
    assert [batch.labels.tolist() for batch in images] == [[0, 0, 0, 0, 1], [1, 1]]
    assert [batch.labels.tolist() for batch in images.draw(2, seed=3)] == [[0, 1]]
    write(folder / "loose.png", 8, 8)
    with pytest.raises(ValueError, match=r"loose.png is in no class"):
        FolderImages(folder, labelled=True)


def test_a_draw_is_named_by_its_seed(folder):
    images = FolderImages(folder)
    first = levels(images.draw(4, seed=0))
    assert first == levels(images.draw(4, seed=0)) == sorted(first)
    assert len(set(first)) == len(images.draw(4, seed=0)) == 4
    assert any(levels(images.draw(4, seed=seed)) != first for seed in range(1, 4))
    assert images.draw(7, seed=5) is images
    with pytest.raises(ValueError, match="has 7 images, from which 8 cannot be drawn"):
        images.draw(8, seed=0)


def test_the_fingerprint_changes_with_any_change_of_the_images(folder, tmp_path):
    names = {FolderImages(folder).fingerprint}

    def changed(images):
        assert images.fingerprint not in names
        names.add(images.fingerprint)

    assert FolderImages(folder, batch_size=2).fingerprint in names
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert FolderImages(copy).fingerprint in names  # content, not place and time
    whole = FolderImages(folder)
    changed(FolderImages(folder, labelled=True))
    changed(FolderImages(folder, size=(8, 8)))
    assert whole.fingerprint in names
    changed(whole.draw(3, seed=0))
    changed(whole.draw(3, seed=1))
    with (folder / "cats/0.png").open("ab") as file:
        file.write(b"\0")
    changed(FolderImages(folder))
    (folder / "cats/0.png").rename(folder / "dogs/0.png")
    changed(FolderImages(folder))
    (folder / "dogs/0.png").unlink()
    changed(FolderImages(folder))


def test_a_damaged_image_ends_it_where_it_stands(folder):
    (folder / "dogs/5.png").write_bytes(b"\x89PNG")
    batches = iter(FolderImages(folder, batch_size=2))
    assert [len(next(batches).images) for _ in range(2)] == [2, 2]
    with pytest.raises(ValueError, match=r"5.png cannot be read"):
        next(batches)


def test_decoding_runs_ahead_by_a_batch_at_most_and_ends_with_the_consumer(tmp_path, monkeypatch):
    for number in range(40):
        write(tmp_path / f"{number:02}.png", 4, 4)
    decoded = []
    monkeypatch.setattr(
        sources, "read_image", lambda file: decoded.append(file) or torch.zeros(1, 4, 4, dtype=torch.uint8)
    )
    threads = threading.active_count()
    batches = iter(FolderImages(tmp_path, batch_size=5))
    next(batches)
    assert 5 <= len(decoded) <= 11  # what is handed out, the first of the next, a batch ahead
    batches.close()
    assert threading.active_count() == threads
    assert len(decoded) <= 11


class Coloured(ToyGenerator):
    """Shows the label as a grey level, and adds noise of its own to one pixel, as StyleGAN's generator does."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, z, labels):
        images = (labels.view(-1, 1, 1, 1) / 10).expand(-1, 1, 4, 4).clone()
        images[:, 0, 0, 0] = torch.rand(len(z), device=z.device)
        images[:, 0, 1, 1] = z[:, 0].tanh()
        return images


def pixels(images):
    return torch.cat([batch.images for batch in images])


def test_generated_images_are_named_by_their_seed_and_touch_no_global_generator():
    model = ToyGAN(Coloured())
    before = torch.get_rng_state()
    first = pixels(GeneratedImages(model.sampler, 7, seed=1, batch_size=3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(pixels(GeneratedImages(model.sampler, 7, seed=1, batch_size=3)), first)
    for pixel in (0, 1):
        drawn = first[:, 0, pixel, pixel]
        assert len(drawn.unique()) > 4  # batches do not repeat each other
        assert not torch.equal(
            pixels(GeneratedImages(model.sampler, 7, seed=2, batch_size=3))[:, 0, pixel, pixel], drawn
        )


@pytest.mark.parametrize("generator", [ToyGenerator, Coloured])
def test_image_k_of_a_seed_is_the_same_in_batches_of_any_size_and_among_any_number(generator):
    model = ToyGAN(generator())
    images = pixels(GeneratedImages(model.sampler, 9, seed=1, batch_size=9))
    for batch_size in (1, 2, 4, 64):
        assert torch.equal(pixels(GeneratedImages(model.sampler, 7, seed=1, batch_size=batch_size)), images[:7])
    assert torch.equal(to_uint8(model.sample(3, seed=1, first=4)), images[4:7])


def test_generated_images_are_as_many_as_asked_and_go_through_the_classes():
    batches = list(GeneratedImages(ToyGAN(Coloured()).sampler, 7, batch_size=2))
    assert [len(batch.images) for batch in batches] == [2, 2, 2, 1]
    assert torch.cat([batch.labels for batch in batches]).tolist() == [0, 1, 2, 0, 1, 2, 0]
    shown = torch.cat([batch.images for batch in batches])[:, 0, 3, 3]
    assert torch.equal(shown, to_uint8(torch.tensor([0, 1, 2, 0, 1, 2, 0]) / 10))
    (batch,) = GeneratedImages(ToyGAN().sampler, 4)
    assert batch.labels is None
    assert batch.images.dtype == torch.uint8


def test_truncation_reaches_the_latents():
    latents = pixels(GeneratedImages(ToyGAN(Coloured()).sampler, 200, truncation=0.1))[:, 0, 1, 1]
    assert latents.int().sub(128).abs().max() <= 13


def test_a_diverged_generator_is_reported():
    model = ToyGAN()
    nn.init.constant_(model.generator.net[0].bias, torch.nan)
    with pytest.raises(ValueError, match="the model generated NaN or infinite pixels"):
        next(iter(GeneratedImages(model.sampler, 2)))


def test_a_checkpoint_gives_its_model_back(tmp_path):
    model = ToyGAN()
    path = checkpoint(model, tmp_path / "toy.ckpt")
    with pytest.raises(PermissionError, match="outside the trusted packages"):
        load_sampler(path)
    loaded = load_sampler(path, trusted=["toys"])
    assert torch.equal(loaded.sampler.sample(4, seed=0), model.sample(4, seed=0))


def test_what_is_no_checkpoint_of_a_generator_is_refused(tmp_path):
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.ckpt")
    for name, reason in (("text.ckpt", "is not a checkpoint"), ("weights.ckpt", "holds weights alone")):
        with pytest.raises(ValueError, match=rf"{name} {reason}.*: give one that `gan-lightning fit` wrote"):
            load_sampler(tmp_path / name)
    path = checkpoint(ToyGAN(), tmp_path / "toy.ckpt")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"toy.ckpt is damaged"):
        load_sampler(path, trusted=["toys"])


def test_a_translators_checkpoint_says_where_to_go_with_it(tmp_path):
    path = checkpoint(CycleGAN(), tmp_path / "cyclegan.ckpt")
    with pytest.raises(
        ValueError, match=r"holds a CycleGAN, which needs images to translate: .*gan-lightning validate"
    ):
        load_sampler(path)
