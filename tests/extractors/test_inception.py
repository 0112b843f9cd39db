import pytest
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from gan_lightning.extractors.inception import WEIGHTS_NAME, CleanInceptionV3
from gan_lightning.metrics import InceptionV3

WEIGHTS_VARIABLE = "GAN_LIGHTNING_INCEPTION"


@pytest.fixture(scope="module")
def weights(inception_weights, tmp_path_factory):
    """Random weights whose batch norms do something: they are folded away."""
    state = torch.load(inception_weights)
    for name, value in state.items():
        if name.endswith((".bn.weight", ".bn.running_var")):
            value.uniform_(0.7, 1.4)
        elif name.endswith((".bn.bias", ".bn.running_mean")):
            value.normal_(0, 0.1)
    path = tmp_path_factory.mktemp("weights") / WEIGHTS_NAME
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def theirs(weights):
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )


def close(features, pooled, logits):
    assert pooled.std() > 0.01
    for ours, expected in (features.pooled, pooled), (features.logits, logits):
        assert ours.shape == expected.shape
        assert ours.dtype == torch.float32
        assert (ours - expected).norm() < 1e-5 * expected.norm()


def test_agrees_with_torch_fidelity(weights, theirs):
    ours = InceptionV3(weights)
    images = torch.randint(0, 256, (2, 3, 40, 32), dtype=torch.uint8)
    features = ours(images)
    close(features, *theirs(images))
    assert features.pooled.shape == (2, ours.num_features)
    grey = images[:, :1]
    assert torch.equal(ours(grey).pooled, ours(grey.expand(-1, 3, -1, -1)).pooled)


def test_clean_is_the_same_network_over_pillows_resize(weights, theirs, monkeypatch):
    images = torch.randint(0, 256, (2, 3, 400, 32), dtype=torch.uint8)
    channels = [
        [pil_to_tensor(to_pil_image(c.float(), mode="F").resize((299, 299), Image.Resampling.BICUBIC)) for c in image]
        for image in images
    ]
    resized = torch.stack([torch.cat(image) for image in channels]).clamp(0, 255)
    monkeypatch.setattr(
        "torch_fidelity.feature_extractor_inceptionv3.interpolate_bilinear_2d_like_tensorflow1x",
        lambda images, **_: resized,
    )
    ours = CleanInceptionV3(weights)
    expected = theirs(images)
    assert (ours(images).pooled - expected[0]).norm() < 1e-3 * expected[0].norm()
    plain = InceptionV3(weights)
    assert (plain(images).pooled - expected[0]).norm() > 1e-2 * expected[0].norm()
    assert plain.fingerprint != ours.fingerprint
    assert plain.fingerprint == InceptionV3(weights).fingerprint


def test_weights_are_found_in_the_environment_and_in_the_hub(inception_weights, tmp_path, monkeypatch):
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    torch_hub = torch.hub.get_dir()
    try:
        torch.hub.set_dir(inception_weights.parent.parent)
        before = torch.get_rng_state()
        InceptionV3()
        assert torch.equal(torch.get_rng_state(), before)
        torch.hub.set_dir(tmp_path)
        with pytest.raises(FileNotFoundError, match=f"(?s){WEIGHTS_NAME}.*`weights`.*{WEIGHTS_VARIABLE}"):
            InceptionV3()
        monkeypatch.setenv(WEIGHTS_VARIABLE, str(inception_weights))
        InceptionV3()
    finally:
        torch.hub.set_dir(torch_hub)


def test_what_was_named_is_not_silently_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "absent.pth"))
    with pytest.raises(FileNotFoundError, match="absent"):
        InceptionV3(download=True)
    with pytest.raises(FileNotFoundError, match="other"):
        InceptionV3(tmp_path / "other.pth", download=True)


def test_a_file_of_something_else_is_refused_and_runs_no_code(tmp_path):
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return marker.touch, ()

    for content in {"x": torch.zeros(1)}, [1, 2], {"x": 1}, Bomb():
        path = tmp_path / "weights.pth"
        torch.save(content, path)
        with pytest.raises(ValueError, match="does not hold the weights of the extractor 'inception'"):
            InceptionV3(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="does not hold"):
        InceptionV3(path)
    assert not marker.exists()
