"""Few-shot talking heads: every term by hand, the flow of people's vectors, evaluation against a copy, use."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.data.batches import FramesBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.families.talking_heads import face_distance
from gan_lightning.inference import Choice
from gan_lightning.losses import FeatureLoss
from gan_lightning.models import TalkingHeads
from gan_lightning.models.talking_heads import Fakes
from gan_lightning.networks import HeadDiscriminator, HeadEmbedder, TalkingHeadGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.recording import Network
from tiny import SIZE, Batches, batch_for, data_for, images
from toys import trainer, weights

PEOPLE = 5
NO_VGG: dict[str, Any] = {"lambda_content": 0.0, "lambda_face": 0.0}
SMALL: dict[str, Any] = {"image_size": SIZE, "width": 4, "max_width": 8}


def talking_heads(**how: Any) -> TalkingHeads:
    """Without the networks whose weights are not at hand."""
    embedder = HeadEmbedder(**SMALL, attention=[])
    generator = TalkingHeadGenerator(embedder, **SMALL, depth=2, blocks=1, down_attention=[8], up_attention=[])
    discriminator = HeadDiscriminator(**SMALL, num_classes=PEOPLE, attention=[])
    return TalkingHeads(generator, discriminator, **NO_VGG | how)


def talking_heads_batch(count: int, seed: int, examples: int = 2) -> FramesBatch:
    def frames(seed: int) -> Tensor:
        return torch.stack([images(count, 3, seed + 100 * k) for k in range(1, 1 + examples)], dim=2)

    people = torch.arange(count) % PEOPLE
    return FramesBatch(images(count, 3, seed), -images(count, 3, seed + 1), frames(seed), frames(seed + 7), people)


# ------------------------------------------------------------------ losses, by numbers


class Shade(Network):
    """A generator whose embedding is the mean of the frames, and whose frame is the landmark picture plus that."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding_dim, self.embedder = 2, nn.Identity()
        self.one = nn.Parameter(torch.ones(()))

    def embed(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        return self.one * frames.mean(dim=(1, 2, 3, 4))[:, None].expand(-1, 2)

    def forward(self, landmarks: Tensor, embedding: Tensor) -> Tensor:
        return landmarks + embedding[:, :1, None, None]


class Sum(Network):
    """D: twice the mean of the frame, plus the vector's first component; features of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.num_classes, self.num_features = PEOPLE, 2
        self.embedding = nn.Embedding.from_pretrained(torch.arange(2.0 * PEOPLE).view(PEOPLE, 2) / 10, freeze=False)

    def forward(
        self, shown: Tensor, labels: Tensor, with_features: bool = False, with_logits: bool = True
    ) -> Tensor | DiscriminatorOutput:
        assert shown.shape[1] == 6
        frames = shown[:, :3]
        own = torch.where(labels >= 0, self.embedding(labels.clamp(min=0))[:, 0], 0)
        logits = 2 * frames.mean(dim=(1, 2, 3)) + own
        if not with_features:
            return logits
        return DiscriminatorOutput((logits,) if with_logits else (), ([frames, 3 * frames],))


TRUE, POINTS, EXAMPLE = 0.3, -0.5, 0.2
FAKE = POINTS + EXAMPLE
"""The brightness of each picture: constants, so that all terms are numbers."""


def constants(people: list[int]) -> FramesBatch:
    def grey(value: float, *shape: int) -> Tensor:
        return torch.full((len(people), 3, *shape), value)

    return FramesBatch(
        grey(TRUE, 4, 4), grey(POINTS, 4, 4), grey(EXAMPLE, 2, 4, 4), grey(0.0, 2, 4, 4), torch.tensor(people)
    )


def numbers(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in terms.items()}


def test_the_discriminators_loss_is_the_hinge_on_both_with_the_persons_vector() -> None:
    model = TalkingHeads(Shade(), Sum(), **NO_VGG).eval()
    batch = constants([0, 2])
    terms = model.discriminator_loss(batch, model.draw_fakes(batch))
    real, fake = [[2 * each + own for own in (0.0, 0.4)] for each in (TRUE, FAKE)]
    expected = sum(max(0, 1 - r) + max(0, 1 + f) for r, f in zip(real, fake, strict=True)) / 2
    assert numbers(terms) == pytest.approx({"adversarial": expected})


@pytest.mark.parametrize("weights", [{}, {"lambda_features": 3.0, "lambda_matching": 2.0, "lambda_l1": 5.0}])
def test_the_generators_terms_by_hand(weights: dict[str, float]) -> None:
    model = TalkingHeads(Shade(), Sum(), **NO_VGG | weights).eval()
    batch = constants([0, 2])
    terms = model.generator_loss(batch, model.draw_fakes(batch))
    # W_0 = (0, 0.1), W_2 = (0.4, 0.5), and both components of e are 0.2
    apart = ((0.2 + 0.1) / 2 + (0.2 + 0.3) / 2) / 2
    expected = {
        "adversarial": -(2 * FAKE + 0.2),
        "features": weights.get("lambda_features", 10) * (1 + 3) * abs(TRUE - FAKE),  # a sum over both layers
        "matching": weights.get("lambda_matching", 10) * apart,
    }
    if weights:
        expected["l1"] = 5 * abs(TRUE - FAKE)
    assert numbers(terms) == pytest.approx(expected)


def test_people_without_a_vector_match_nothing_and_have_the_common_score() -> None:
    model = TalkingHeads(Shade(), Sum(), **NO_VGG).eval()
    known, unknown = constants([2, 2]), constants([2, -1])
    half, whole = (float(model.generator_loss(each, model.draw_fakes(each))["matching"]) for each in (unknown, known))
    assert half == pytest.approx(whole / 2)
    logits = model.verdict(unknown, unknown.target).logits[0]
    assert logits.tolist() == pytest.approx([2 * TRUE + 0.4, 2 * TRUE])


def test_perceptual_terms_have_the_papers_weights() -> None:
    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    content = FeatureLoss(Double(), {"mul": 1.0})
    model = TalkingHeads(Shade(), Sum(), content=content, face_content=content).eval()
    batch = constants([0])
    terms = numbers(model.generator_loss(batch, model.draw_fakes(batch)))
    assert terms["content"] == pytest.approx(0.15 * 2 * abs(TRUE - FAKE))
    assert terms["face"] == pytest.approx(0.025 * 2 * abs(TRUE - FAKE))


@pytest.mark.parametrize(("turned_off", "named"), [("lambda_face", "VGG19"), ("lambda_content", "VGGFACE")])
def test_missing_weights_are_named_before_the_first_step(
    turned_off: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("GAN_LIGHTNING_VGGFACE", raising=False)
    monkeypatch.delenv("GAN_LIGHTNING_VGG19", raising=False)
    model = talking_heads(**{"lambda_content": 0.15, "lambda_face": 0.025} | {turned_off: 0.0})
    with pytest.raises(FileNotFoundError, match=f"GAN_LIGHTNING_{named}"):
        trainer(max_epochs=1).fit(model, data_for(model))
    assert model.batches_seen == 0


# ------------------------------------------------------------------ people


def test_the_embedding_is_the_mean_over_a_persons_examples() -> None:
    torch.manual_seed(0)
    model = talking_heads().eval()
    batch = batch_for(model)
    alone = [
        model.generator.embed(batch.examples[:, :, k : k + 1], batch.example_landmarks[:, :, k : k + 1])
        for k in range(2)
    ]
    fake = model.draw_fakes(batch)
    torch.testing.assert_close(fake.embeddings, (alone[0] + alone[1]) / 2)
    torch.testing.assert_close(fake.frames, model.generator(batch.landmarks, fake.embeddings))


def test_frames_depend_on_the_landmarks_and_on_the_person() -> None:
    torch.manual_seed(0)
    model = talking_heads().eval()
    batch = batch_for(model)
    made = model.generate(batch)
    assert not torch.allclose(made, model.generate(batch._replace(landmarks=-batch.landmarks)), atol=1e-3)
    assert not torch.allclose(made, model.generate(batch._replace(examples=-batch.examples)), atol=1e-5)
    torch.testing.assert_close(made, model.generate(batch._replace(target=-batch.target, people=batch.people - 9)))


def test_each_turn_moves_the_vectors_of_its_player() -> None:
    torch.manual_seed(0)
    model = talking_heads(n_critic=1)
    before = weights(model)
    trainer(max_epochs=1).fit(model, data_for(model))
    after = weights(model)
    moved = (before["discriminator.embedding.weight"] != after["discriminator.embedding.weight"]).any(dim=1)
    assert moved.tolist() == [True] * 4 + [False]  # the people in the batch
    assert any(not torch.equal(before[name], after[name]) for name in after if name.startswith("generator.embedder."))


def test_the_number_of_people_must_be_that_of_the_discriminator() -> None:
    description = DataDescription(FramesBatch, 10, 7, {}, ())
    with pytest.raises(ValueError, match=r"5 people.*have 7.*num_classes to 7"):
        talking_heads().check_data(description)


def test_two_steps_of_the_discriminator_for_one_and_the_papers_rates() -> None:
    model = talking_heads()
    assert model.n_critic == 2
    rates = [optimizer.param_groups[0]["lr"] for optimizer in model.configure_optimizers()]
    assert rates == [2e-4, 5e-5]


def test_vectors_of_both_networks_have_one_length() -> None:
    good = talking_heads()
    with pytest.raises(ValueError, match=r"embedder have 8 components.*discriminator 4"):
        TalkingHeads(good.generator, HeadDiscriminator(**SMALL | {"max_width": 4}, num_classes=1))


# ------------------------------------------------------------------ evaluation and use


def test_distances_are_measured_in_the_box_around_the_landmarks() -> None:
    landmarks = -torch.ones(2, 3, 8, 8)
    landmarks[0, 1, 2, 3] = landmarks[0, 2, 5, 4] = 1  # rows 2 to 5, columns 3 to 4; the second picture has none
    batch = constants([0, 1])._replace(target=torch.zeros(2, 3, 8, 8), landmarks=landmarks)
    made = torch.zeros(2, 3, 8, 8)
    made[:, :, 0, 0] = 1  # outside of the box
    made[:, 0, 3, 3] = 0.6  # inside, in one of three channels
    expected = [0.6 / 3 / 2 / 8, (0.6 / 3 + 1) / 2 / 64]
    assert face_distance(made, batch).tolist() == pytest.approx(expected)


def test_evaluations_log_the_distance_and_that_of_a_copy() -> None:
    model = TalkingHeads(Shade(), Sum(), **NO_VGG)
    run = trainer()
    run.validate(model, Batches([constants([0, 1]), constants([-1])]), verbose=False)
    logged = {name: float(value) for name, value in run.callback_metrics.items()}
    assert logged["val/face_l1"] == pytest.approx((TRUE - FAKE) / 2)
    assert logged["val/face_l1_copy"] == pytest.approx((TRUE - EXAMPLE) / 2)
    assert logged["val/better_than_copy"] == 0


def test_a_preview_is_example_landmarks_fake_target() -> None:
    model = talking_heads()
    batch = batch_for(model)
    shown, columns = model.preview(batch, 3)
    assert (len(shown), columns) == (12, 4)
    rows = shown.unflatten(0, (3, 4))
    assert torch.equal(rows[:, 0], batch.examples[:3, :, 0])
    assert torch.equal(rows[:, 1], batch.landmarks[:3])
    torch.testing.assert_close(rows[:, 2], model.generate(batch)[:3])
    assert torch.equal(rows[:, 3], batch.target[:3])


def test_a_translation_by_an_example_is_what_generate_makes() -> None:
    torch.manual_seed(0)
    model = talking_heads()
    batch = talking_heads_batch(3, 0, examples=2)
    one = FramesBatch(*(each[:1] for each in batch))
    pictures = torch.cat([one.examples, one.example_landmarks], dim=4)[0].transpose(0, 1)  # (K, C, H, 2W)
    made = model.translate(batch.landmarks[:1], choice=Choice(example=pictures))
    torch.testing.assert_close(made, model.generate(one))
    assert Fakes(made, made).frames is made
