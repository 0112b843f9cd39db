"""Arrange the avatars' expressions as people: a folder of frames for each, with files of landmarks beside them.

    python scripts/avatar_people.py data/avatars data/avatar_people

The first folder holds expressions/ID_EXPRESSION.png, 64x64, and expressions.csv with the columns file, identity,
expression, split, eyes, eyebrows and mouth. The second gets SPLIT/ID/EXPRESSION.png and SPLIT/ID/EXPRESSION.csv.

All avatars have their heads at one place, and an expression is fully stated by the drawings of eyes, eyebrows and
mouth. So the landmarks of a frame follow exactly from these three names: the tables below hold the outlines of the
drawings, in pixels from the picture's upper left corner.
"""

import argparse
import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

Points = Sequence[tuple[float, float]]

MIDDLE = 32.0  # column of the face's middle


def mirrored(points: Points) -> Points:
    """Return points of the other half of the face, in the same order from the outside inwards."""
    return [(2 * MIDDLE - x, y) for x, y in points]


def eye(x: float, y: float, across: float, down: float) -> Points:
    """Return the outline of an open eye."""
    c, d = across / 2, 0.87 * down
    return [(x - across, y), (x - c, y - d), (x + c, y - d), (x + across, y), (x + c, y + d), (x - c, y + d)]


_BROWS: dict[str, Points] = {  # the right one (at the left of the picture), from the outside inwards
    "default": [(22.5, 22.5), (24.5, 20.8), (28.5, 20.5)],
    "raisedExcited": [(22.5, 22.5), (24.0, 20.0), (28.5, 19.5)],
    "sadConcerned": [(22.3, 22.8), (26.0, 22.0), (28.5, 20.3)],
    "angry": [(22.4, 21.6), (24.5, 20.6), (28.5, 22.8)],
}
EYEBROWS: dict[str, tuple[Points, Points]] = {name: (line, mirrored(line)) for name, line in _BROWS.items()} | {
    "upDown": ([(22.5, 22.3), (24.5, 20.0), (28.5, 20.2)], [(41.7, 23.6), (38.5, 21.5), (35.3, 21.5)]),
}
EYES: dict[str, tuple[Points, Points]] = {
    "default": (eye(26.0, 25.5, 1.3, 1.5), eye(38.0, 25.5, 1.3, 1.5)),
    "happy": ([(23.3, 25.6), (25.5, 24.3), (27.7, 25.6)], [(36.3, 25.6), (38.5, 24.3), (40.7, 25.6)]),
    "closed": ([(23.3, 26.6), (25.5, 27.8), (27.7, 26.6)], [(36.3, 26.6), (38.5, 27.8), (40.7, 26.6)]),
    "squint": (eye(26.0, 25.5, 3.0, 1.6), eye(38.0, 25.5, 3.0, 1.6)),
    "surprised": (eye(26.0, 25.6, 3.0, 3.2), eye(38.0, 25.6, 3.0, 3.2)),
    "wink": (eye(26.0, 25.5, 1.3, 1.5), [(35.3, 26.4), (38.0, 24.6), (40.5, 25.6)]),
}
MOUTHS: dict[str, Points] = {
    "serious": [(29.3, 35.5), (34.7, 35.5)],
    "smile": [(28.3, 33.5), (35.7, 33.5), (34.5, 36.8), (32.0, 38.0), (29.5, 36.8)],
    "sad": [(29.3, 36.7), (30.3, 35.2), (32.0, 34.4), (33.7, 35.2), (34.7, 36.7)],
    "concerned": [(30.0, 34.3), (34.0, 34.3), (36.0, 36.5), (35.5, 37.8), (28.5, 37.8), (28.0, 36.5)],
    "screamOpen": [(29.5, 33.8), (34.5, 33.8), (36.2, 36.5), (36.0, 39.5), (28.0, 39.5), (27.8, 36.5)],
    "twinkle": [(29.4, 34.2), (30.1, 35.5), (32.0, 36.2), (33.9, 35.5), (34.6, 34.2)],
}


def open_line(points: Points) -> Points:
    """Return a line there and back, since eyes and lips are drawn as closed lines."""
    return [*points, *points[-2:0:-1]]


def landmarks(eyes: str, eyebrows: str, mouth: str) -> dict[str, Points]:
    """Return the points of each part, in pixels from the upper left corner."""
    right_brow, left_brow = EYEBROWS[eyebrows]
    lines = {"right_eyebrow": right_brow, "left_eyebrow": left_brow}
    outlines = dict(zip(("right_eye", "left_eye"), EYES[eyes], strict=True)) | {"outer_lips": MOUTHS[mouth]}
    are_open = {"right_eye": len(EYES[eyes][0]) < 6, "left_eye": len(EYES[eyes][1]) < 6}
    are_open["outer_lips"] = mouth in ("serious", "sad", "twinkle")
    return lines | {name: open_line(line) if are_open[name] else line for name, line in outlines.items()}


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("avatars", type=Path, help="folder with expressions/ and expressions.csv")
    parser.add_argument("people", type=Path, help="folder to write, which must not exist")
    given = parser.parse_args()
    if given.people.exists():
        parser.error(f"{given.people} exists: remove it, or name another folder")
    rows = list(csv.DictReader((given.avatars / "expressions.csv").read_text().splitlines()))
    part = given.people.with_name(given.people.name + ".part")
    for row in rows:
        frame = part / row["split"] / row["identity"] / f"{row['expression']}.png"
        frame.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(given.avatars / "expressions" / row["file"], frame)
        lines = ["part,x,y"]
        for name, points in landmarks(row["eyes"], row["eyebrows"], row["mouth"]).items():
            lines += [f"{name},{x - 0.5:g},{y - 0.5:g}" for x, y in points]  # from the first pixel's middle
        frame.with_suffix(".csv").write_text("\n".join(lines) + "\n")
    os.replace(part, given.people)
    print(f"{len(rows):,} frames of {len({row['identity'] for row in rows})} people in {given.people}")


if __name__ == "__main__":
    main()
