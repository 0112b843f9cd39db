"""Make a captioned folder, as `datamodules.CaptionedFolder` reads it, of an array of pictures and a list of captions.

    python scripts/make_captioned_folder.py stamps_rgba128.npz meta.json data/stamps

The first file holds one array uint8 (N, H, W, C) of grey, RGB or RGBA pictures. The second is a JSON list of N records
with a caption, and perhaps a category. OUT/images has the pictures as PNG files, and OUT/captions.jsonl their captions.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="an .npz file with one array")
    parser.add_argument("captions", type=Path, help="a .json file")
    parser.add_argument("out", type=Path, help="the folder to make")
    given = parser.parse_args()
    with np.load(given.pictures, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            parser.error(f"{given.pictures} holds {len(archive.files)} arrays, and one is expected")
        pictures = archive[archive.files[0]]
    records = json.loads(given.captions.read_text(encoding="utf-8"))
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] not in (1, 3, 4):
        parser.error(f"{given.pictures} holds {pictures.dtype} {pictures.shape}, and not uint8 (N, H, W, 1, 3 or 4)")
    if len(records) != len(pictures):
        parser.error(f"{given.captions} has {len(records)} records, and {given.pictures} {len(pictures)} pictures")
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (picture, record) in enumerate(zip(pictures, records, strict=True)):
        name = f"{number:05d}.png"
        Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).save(given.out / "images" / name)
        lines.append(json.dumps({"image": name, "caption": record["caption"], "category": record.get("category", "")}))
    (given.out / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} pictures with captions are in {given.out}")


if __name__ == "__main__":
    main()
