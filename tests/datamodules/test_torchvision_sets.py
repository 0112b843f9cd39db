"""The embedded digits and the data sets that torchvision reads: MNIST and similar sets, CIFAR, CelebA."""

import gzip
import pickle
import struct
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from datamodules import CIFAR, MNIST, CelebA, Digits
from datamodules.torchvision_sets import padded, resized


def first_batch(module):
    module.prepare_data()
    module.setup("fit")
    return next(iter(module.train_dataloader())), next(iter(module.val_dataloader()))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise URLError("no network")

    for module, name in [("mnist", "download_and_extract_archive"), ("cifar", "download_and_extract_archive")]:
        monkeypatch.setattr(getattr(torchvision.datasets, module), name, refuse)
    monkeypatch.setattr(torchvision.datasets.celeba, "download_file_from_google_drive", refuse)


def test_the_digits_come_with_the_package():
    module = Digits(batch_size=100, image_size=28)
    training, reference = first_batch(module)
    assert training.images.shape == (100, 1, 28, 28)
    assert training.images.dtype == torch.uint8
    assert training.labels.unique().tolist() == list(range(10))
    assert len(module.train_dataloader()) == 80
    assert sum(len(batch.images) for batch in module.val_dataloader()) == 2000
    assert module.num_classes == 10
    assert reference.images.float().mean() == pytest.approx(33, abs=3)  # the mean of MNIST


def test_digits_of_32_pixels_are_padded_and_of_others_resampled():
    images = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    wide = padded(images, (32, 32))
    assert wide.shape == (3, 1, 32, 32)
    assert (wide[:, 0, 2:-2, 2:-2] == images.numpy()).all()
    assert wide.sum() == images.sum()
    assert (padded(images, (28, 28))[:, 0] == images.numpy()).all()
    assert padded(torch.full((3, 28, 28), 200, dtype=torch.uint8), (64, 48)).shape == (3, 1, 64, 48)
    assert (padded(torch.full((3, 28, 28), 200, dtype=torch.uint8), (16, 16)) == 200).all()


def test_resampling_clips_instead_of_wrapping_around():
    edge = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    edge[..., 8:] = 255
    large = resized(edge, (64, 64))
    assert (large[..., :24] < 60).all()
    assert (large[..., 40:] > 195).all()


def test_mnist_is_read_from_torchvisions_layout(real_data):
    module = MNIST(real_data / "mnist", download=False, image_size=28, batch_size=100)
    training, reference = first_batch(module)
    assert training.images.shape == (100, 1, 28, 28)
    assert reference.labels[:5].tolist() == [7, 2, 1, 0, 4]  # the test set begins so
    assert (len(module.train_dataloader()), len(module.val_dataloader())) == (600, 40)
    both = MNIST(real_data / "mnist", reference="train", num_reference=500)
    both.setup("validate")
    assert len(both.val_dataloader()) == 2


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes())


def write_set(folder: Path, names: list[str], labels: np.ndarray) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 28, 28), np.uint8)
    for name in names:
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels.astype(np.uint8))
    return images


@pytest.mark.parametrize("name", ["FashionMNIST", "KMNIST"])
def test_sets_in_its_format_are_read_by_name(tmp_path, name):
    images = write_set(tmp_path / name / "raw", ["train", "t10k"], np.arange(20) % 10)
    _, reference = first_batch(MNIST(tmp_path, name=name, batch_size=4, image_size=28))
    assert (reference.images[:, 0].numpy() == images).all()
    assert reference.labels.tolist() == [*range(10), *range(10)]


def test_emnist_is_put_upright_and_letters_are_counted_from_0(tmp_path):
    names = ["emnist-letters-train", "emnist-letters-test"]
    images = write_set(tmp_path / "EMNIST" / "raw", names, np.arange(1, 27))
    module = MNIST(tmp_path, name="EMNIST", emnist_split="letters", batch_size=4, image_size=28)
    _, reference = first_batch(module)
    assert (reference.images[:, 0].numpy() == images.transpose(0, 2, 1)).all()
    assert reference.labels.tolist() == list(range(26))
    assert module.num_classes == 26


def test_labels_beyond_the_classes_and_damaged_files_are_reported(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    write_set(folder, ["train", "t10k"], np.arange(20))
    with pytest.raises(ValueError, match=r"training set of MNIST has 10 labels outside 0\.\.9"):
        MNIST(tmp_path, batch_size=4).setup("fit")
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:1000])
    with pytest.raises(FileNotFoundError, match=r"damaged in .*MNIST/raw .*: put train-images-idx3-ubyte"):
        MNIST(tmp_path, batch_size=4).prepare_data()
    images.write_bytes(gzip.compress(b"nothing"))
    with pytest.raises(FileNotFoundError, match="damaged"):
        MNIST(tmp_path, batch_size=4, download=False).prepare_data()


@pytest.mark.parametrize(
    ("module", "folder", "files"),
    [
        (MNIST, "MNIST/raw", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]),
        (CIFAR, "cifar-10-batches-py", ["data_batch_1", "test_batch", "batches.meta", "cifar-10-python.tar.gz"]),
        (CelebA, "celeba", ["img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"]),
    ],
)
@pytest.mark.parametrize("download", [True, False])
def test_without_network_one_error_says_which_files_go_where(tmp_path, module, folder, files, download):
    with pytest.raises(FileNotFoundError) as caught:
        module(tmp_path, download=download).prepare_data()
    message = str(caught.value)
    assert f"missing or damaged in {tmp_path / folder}" in message
    assert all(file in message for file in files)
    assert ("could not be downloaded" in message) == download
    assert "\n" not in message


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar_is_read_from_torchvisions_layout(tmp_path, monkeypatch, name):
    source = getattr(torchvision.datasets, name)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda path, md5: Path(path).is_file())
    values = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), np.uint8)
    folder = tmp_path / source.base_folder
    folder.mkdir()
    labels = "labels" if name == "CIFAR10" else "fine_labels"
    for file, _ in source.train_list + source.test_list:
        (folder / file).write_bytes(pickle.dumps({"data": values.reshape(6, -1), labels: [0, 1, 2, 3, 4, 9]}))
    (folder / source.meta["filename"]).write_bytes(pickle.dumps({source.meta["key"]: ["name"]}))
    module = CIFAR(tmp_path, name=name, batch_size=4)
    _, reference = first_batch(module)
    assert (reference.images.numpy() == values).all()
    assert reference.labels.tolist() == [0, 1, 2, 3, 4, 9]
    assert len(module.train_dataloader()) == (7 if name == "CIFAR10" else 1)
    assert module.num_classes == int(name[5:])
    assert module.describe().class_names == ("name",)
    _, small = first_batch(CIFAR(tmp_path, name=name, batch_size=4, image_size=16))
    assert small.images.shape == (6, 3, 16, 16)


@pytest.fixture
def celeba(tmp_path, monkeypatch) -> Path:
    """Eight faces in torchvision's layout: black, with a white square of 148 pixels in the middle."""
    monkeypatch.setattr(
        torchvision.datasets.CelebA, "file_list", [(i, None, n) for i, _, n in torchvision.datasets.CelebA.file_list]
    )
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06}.png" for number in range(1, 9)]
    values = np.zeros((218, 178, 3), np.uint8)
    values[35:183, 15:163] = 255
    for name in names:
        Image.fromarray(values).save(folder / "img_align_celeba" / name)

    def write(name: str, columns: int, header: bool, value) -> None:
        lines = [f"8\n{' '.join(f'c{i}' for i in range(columns))}"] if header else []
        lines += [" ".join([image, *(str(value(row, i)) for i in range(columns))]) for row, image in enumerate(names)]
        (folder / name).write_text("\n".join(lines) + "\n")

    write("list_attr_celeba.txt", 40, True, lambda row, i: 1 if i == row else -1)
    write("identity_CelebA.txt", 1, False, lambda row, i: row)
    write("list_bbox_celeba.txt", 4, True, lambda row, i: 0)
    write("list_landmarks_align_celeba.txt", 10, True, lambda row, i: 0)
    write("list_eval_partition.txt", 1, False, lambda row, i: [0, 0, 0, 0, 1, 1, 2, 2][row])
    return tmp_path


def test_celeba_is_cropped_and_its_attributes_are_labels(celeba):
    module = CelebA(celeba, image_size=32, batch_size=4, cache_dir=celeba / "cache")
    training, reference = first_batch(module)
    assert training.images.shape == (4, 3, 32, 32)
    assert training.labels.dtype == torch.float32
    assert training.labels.shape == (4, 40)
    assert reference.labels.argmax(1).tolist() == [6, 7]
    assert reference.images[0, 0, 0, 0] == 0
    assert module.num_classes is None
    _, close = first_batch(CelebA(celeba, crop=148, image_size=32, batch_size=4, cache_dir=celeba / "cache"))
    assert (close.images == 255).all()
    _, valid = first_batch(CelebA(celeba, reference="valid", image_size=32, batch_size=4, cache_dir=celeba / "cache"))
    assert valid.labels.argmax(1).tolist() == [4, 5]


def test_a_missing_face_is_named(celeba):
    (celeba / "celeba" / "img_align_celeba" / "000002.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"000002\.png is missing"):
        CelebA(celeba, cache_dir=celeba / "cache").prepare_data()
