"""Fine-tuning of a talking head to one person: the start by the meta-learned networks, the losses."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.data.batches import FramesBatch
from gan_lightning.models import DCGAN, PersonalTalkingHead, TalkingHeads
from gan_lightning.networks import HeadDiscriminator, PersonalHeadGenerator
from models.test_dcgan import dcgan
from models.test_talking_heads import NO_VGG, SMALL, talking_heads, talking_heads_batch
from tiny import Batches, batch_for, data_for
from toys import checkpoint, trainer


def personal_talking_head(**how: Any) -> PersonalTalkingHead:
    generator = PersonalHeadGenerator(**SMALL, depth=2, blocks=1, down_attention=[8], up_attention=[])
    return PersonalTalkingHead(generator, HeadDiscriminator(**SMALL, attention=[]), **NO_VGG | how)


def personal_talking_head_batch(count: int, seed: int) -> FramesBatch:
    return talking_heads_batch(count, seed)


def of_one_person() -> FramesBatch:
    """Three frames, whose examples are the same two frames."""
    batch = talking_heads_batch(3, 0)
    same = [each[:1].expand_as(each).clone() for each in (batch.examples, batch.example_landmarks)]
    return batch._replace(examples=same[0], example_landmarks=same[1], people=torch.full((3,), -1))


def meta_learned(**how: Any) -> TalkingHeads:
    torch.manual_seed(0)
    model = talking_heads(**how)
    trainer(max_epochs=1).fit(model, data_for(model))
    return model.eval()


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("half_life", [0, 50])
def test_it_starts_as_the_meta_learned_model_does(validated: bool, half_life: float, tmp_path: Path) -> None:
    meta = meta_learned(ema_half_life=half_life)
    model = personal_talking_head(ema_half_life=half_life)
    model.load_weights(checkpoint(meta, tmp_path / "meta.ckpt"))
    batch = of_one_person()
    data = Batches([batch])
    if validated:
        trainer().validate(model, data, verbose=False)
    else:
        model.minimize = lambda *_: None  # type: ignore[method-assign]
        trainer(max_epochs=1).fit(model, data)
    # a pass in training mode improves the estimates of spectral norms
    torch.testing.assert_close(model.generate(batch), meta.generate(batch), rtol=0, atol=1e-5 if validated else 1e-2)
    if not validated:
        return
    embedding = meta.averaged_generator.embed(batch.examples[:1], batch.example_landmarks[:1])
    torch.testing.assert_close(
        model.discriminator.head.weight, meta.discriminator.head.weight + embedding, rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(model.generator.person.weight, meta.averaged_generator.projection(embedding))
    # the score of a person with the vector e
    with torch.no_grad():
        meta.discriminator.embedding.weight[0] = embedding[0]
        meta.eval()
        model.eval()
        known = batch._replace(people=torch.zeros(3, dtype=torch.int64))
        torch.testing.assert_close(
            model.verdict(batch, batch.target).logits[0], meta.verdict(known, batch.target).logits[0]
        )


def test_the_persons_parameters_are_weights_and_the_embedder_is_gone(tmp_path: Path) -> None:
    model = personal_talking_head(n_critic=1)
    model.load_weights(checkpoint(meta_learned(), tmp_path / "meta.ckpt"))
    data = Batches([of_one_person()])
    trainer().validate(model, data, verbose=False)
    before = model.generator.person.weight.clone()
    trainer(max_epochs=1).fit(model, data)
    assert not torch.equal(before, model.generator.person.weight)
    assert not any("embedder" in name or "projection" in name for name in model.state_dict())
    assert model._meta_learned == []
    terms = model.generator_loss(of_one_person(), model.draw_fakes(of_one_person()))
    assert terms.keys() == {"adversarial", "features"}  # L_MCH is gone


def test_a_run_goes_on_from_another_person(tmp_path: Path) -> None:
    other, model = personal_talking_head(), personal_talking_head()
    with torch.no_grad():
        other.generator.person.weight.normal_()
    model.load_weights(checkpoint(other, tmp_path / "other.ckpt"))
    batch = batch_for(model)
    torch.testing.assert_close(model.generate(batch), other.generate(batch))


def test_what_it_cannot_start_from(tmp_path: Path) -> None:
    model = personal_talking_head()
    wrong = checkpoint(dcgan(), tmp_path / "wrong.ckpt")
    with pytest.raises(ValueError, match=rf"holds a {DCGAN.__name__}.*TalkingHeads"):
        model.load_weights(wrong)
    with pytest.raises(ValueError, match="checkpoint"):
        model.load_weights({"generator": wrong})
    with pytest.raises(FileNotFoundError):
        model.load_weights(tmp_path / "nothing.ckpt")
