"""Files of captions: JSON, JSON lines, or CSV."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from gan_lightning.data.files import composed, shown
from gan_lightning.data.texts import checked_sentence

IMAGE_FIELDS = ("image", "file_name", "file", "filename", "path", "img")
"""Names of the field with an image's file name, the first that there is."""
CAPTION_FIELDS = ("caption", "captions", "text", "sentence", "sentences", "description", "descriptions")
"""Names of the field with an image's caption, or a list of captions, the first that there is."""
_MOST_BYTES = 1_000_000_000  # of a file


class Captioned(NamedTuple):
    """An image's captions, as a file states them."""

    sentences: list[str]
    label: str | None  # the name of its class, if the file states it


def read_captions(
    path: Path,
    image_field: str | None = None,
    caption_fields: Sequence[str] | None = None,
    class_field: str | None = None,
) -> dict[str, Captioned]:
    """Read a file of captions, by the names of images; the captions of several records of an image are joined.

    - JSON: a list of records; or an object from names to a caption, a list of captions or a record; or COCO's form.
    - JSON lines: a record on each line.
    - CSV: a header, and a record on each line.

    Args:
        path: the file; its suffix tells the form (.json, .jsonl or .csv).
        image_field: the field of a record with the image's name. None = the first of `IMAGE_FIELDS` that there is.
        caption_fields: fields with captions, each a text or a list of texts. None = the first of `CAPTION_FIELDS`.
        class_field: the field with the image's class. None = classes are not read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another form, a field is missing, a caption is empty, or an image has two classes.
    """
    where = shown(path)
    readers = {".json": _json, ".jsonl": _lines, ".ndjson": _lines, ".csv": _table}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{where} is no file of captions: name one that ends in .json, .jsonl or .csv")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of captions {where}: name a .json, .jsonl or .csv")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        records = list(readers[path.suffix.lower()](path.read_text(encoding="utf-8-sig")))
        if not records:
            raise ValueError("it has no records")
    except (ValueError, RecursionError, csv.Error) as error:
        raise ValueError(f"{where} cannot be read as captions ({str(error)[:200]}): correct it") from error
    found: dict[str, Captioned] = {}
    for place, record in records:
        here = f"{where}, {place},"
        name = _plain(_field(record, [image_field] if image_field else IMAGE_FIELDS, here, "name of an image"))
        labels = {} if class_field is None else {"label": _field(record, [class_field], here, "class")}
        texts: list[Any] = []
        for field in caption_fields or [next((each for each in CAPTION_FIELDS if each in record), CAPTION_FIELDS[0])]:
            value = _value(record, [field], here, "caption")
            texts += value if isinstance(value, list) else [value]
        if not texts:
            raise ValueError(f"{here} has no caption of {name}: write one")
        before = found.get(name, Captioned([], labels.get("label")))
        if before.label != labels.get("label"):
            raise ValueError(f"{here} has the class {labels['label']!r} of {name}, before {before.label!r}: keep one")
        sentences = [checked_sentence(text, here) for text in texts]
        found[name] = Captioned(list(dict.fromkeys([*before.sentences, *sentences])), before.label)
    return found


def _plain(name: str) -> str:
    return composed(PurePath(name.strip()).as_posix())


def _value(record: Mapping[str, Any], fields: Iterable[str], here: str, what: str) -> Any:
    fields = list(fields)
    for field in fields:
        if field in record:
            return record[field]
    raise ValueError(
        f"{here} has no {what}: its fields are {', '.join(map(str, list(record)[:8])) or 'none'}, and not "
        f"{' or '.join(fields)}; name the field"
    )


def _field(record: Mapping[str, Any], fields: Iterable[str], here: str, what: str) -> str:
    value = _value(record, fields, here, what)
    if not isinstance(value, str | int) or not str(value).strip():
        raise ValueError(f"{here} has as {what} {str(value)[:60]!r}, which is no text: correct it")
    return str(value)


def _json(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    content = json.loads(text)
    if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
        content = _coco(content)
    if isinstance(content, dict):
        for name, value in content.items():
            yield (
                f"image {name!r}",
                {IMAGE_FIELDS[0]: name, **(value if isinstance(value, dict) else {"caption": value})},
            )
        return
    if not isinstance(content, list):
        raise ValueError("it is neither a list nor an object")
    for number, record in enumerate(content, start=1):
        yield f"record {number}", _record(record)


def _coco(content: Mapping[str, Any]) -> list[Any]:
    try:
        names = {image["id"]: image["file_name"] for image in content["images"]}
        return [{"image": names[each["image_id"]], "caption": each["caption"]} for each in content["annotations"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"its images and annotations do not fit together, as COCO's do: {error!r}") from error


def _lines(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield f"line {number}", _record(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error


def _table(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header = [name.strip() for name in next(reader, [])]
    if len(header) < 2 or len({*header}) < len(header):
        raise ValueError("its header is not a name of its own for each of two columns or more")
    for fields in reader:
        if fields and len(fields) != len(header):
            raise ValueError(f"line {reader.line_num} has {len(fields)} fields, and the header {len(header)}")
        if fields:
            yield f"line {reader.line_num}", dict(zip(header, fields, strict=True))


def _record(record: Any) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(f"{str(record)[:60]!r} is no object with fields")
    return record
