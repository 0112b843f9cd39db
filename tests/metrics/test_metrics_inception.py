import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from gan_lightning.metrics import InceptionV3
from gan_lightning.metrics.inception import WEIGHTS_NAME, WEIGHTS_VARIABLE


def test_agrees_with_torch_fidelity(inception_weights):
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_weights)
    )
    ours = InceptionV3(inception_weights)
    images = torch.randint(0, 256, (2, 3, 40, 32), dtype=torch.uint8)
    pooled, logits = theirs(images)
    assert pooled.std() > 0.01
    features = ours(images)
    assert torch.equal(features.pooled, pooled)
    assert torch.equal(features.logits, logits)
    assert features.pooled.shape == (2, ours.num_features)
    grey = images[:, :1]
    assert torch.equal(ours(grey).pooled, ours(grey.expand(-1, 3, -1, -1)).pooled)


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

    for content in {"x": torch.zeros(1)}, [1, 2], Bomb():
        path = tmp_path / "weights.pth"
        torch.save(content, path)
        with pytest.raises(ValueError, match="does not hold torch-fidelity's Inception weights"):
            InceptionV3(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="does not hold"):
        InceptionV3(path)
    assert not marker.exists()
