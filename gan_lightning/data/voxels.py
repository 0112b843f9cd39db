"""Files of voxels: reading occupancy from .npy, .npz and .binvox, and writing shapes as .npz, .obj and .ply.

A shape is a grid of occupancy with the axes (x, y, z), y upwards: the depth, height and width of `Role.VOXELS`. Files
of others may have another axis upwards (see `datamodules.VoxelFolder`). Networks see -1 for empty and 1 for occupied.
"""

import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from torch import Tensor

from gan_lightning.data.files import open_file, shown, write_whole

SUFFIXES = {".binvox", ".npy", ".npz"}
"""The suffixes of files that count as shapes."""
MOST = 2**31
"""Voxels that one file may hold, and bytes of an array."""
NAMES = ("voxels", "vox")
"""Arrays of an .npz that are taken for the shapes if none is named, in this order."""
_LONGEST_LINE, _LONGEST_SIDE = 200, 4096  # of the header of a .binvox: bytes, voxels


def read_arrays(file: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of an .npz file, or the one of an .npy file, by the name "". No object of a file is built.

    Args:
        file: the file.
        names: the arrays to read. None = all of them.

    Raises:
        ValueError: it is damaged or too large, or holds objects instead of numbers.
        OSError: it cannot be read.
    """
    with open_file(file) as opened:
        if file.suffix.lower() == ".npy":
            _check_header(opened, file.stat().st_size, file, "")
            opened.seek(0)
            return {"": np.lib.format.read_array(opened, allow_pickle=False)}
        found = {}
        try:
            with zipfile.ZipFile(opened) as archive:
                for member in archive.infolist():
                    name = member.filename.removesuffix(".npy")
                    if names is not None and name not in names:
                        continue
                    with archive.open(member) as content:
                        _check_header(content, member.file_size, file, name)
                    with archive.open(member) as content:
                        found[name] = np.lib.format.read_array(content, allow_pickle=False)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise ValueError(f"{shown(file)} is no .npz that can be read ({error}): write it anew") from error
        return found


def _check_header(content: IO[bytes], size: int, file: Path, name: str) -> None:
    """Check the header of an array before memory is allocated for it."""
    version = np.lib.format.read_magic(content)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{shown(file)} has an array in an unknown version of the format: write it anew")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(content)
    if dtype.hasobject:
        raise ValueError(f"{shown(file)} holds Python objects{f' ({name})' * bool(name)}: write arrays of numbers")
    count = 1
    for side in shape:  # in Python's integers, which do not overflow
        count *= int(side)
    if count * dtype.itemsize > min(MOST, size - content.tell()):
        fault = "is cut off" if count * dtype.itemsize <= MOST else "is too large"
        raise ValueError(
            f"{shown(file)} {fault}: an array of {'x'.join(map(str, shape))} has {count * dtype.itemsize:,} bytes"
        )


def array_shape(file: Path) -> tuple[int, ...] | None:
    """Return the shape of the array in an .npy file by its header. None = it is another file, or not readable."""
    if file.suffix.lower() != ".npy":
        return None
    with open_file(file) as opened:
        version = np.lib.format.read_magic(opened)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return tuple(map(int, read(opened)[0]))


def read_voxels(file: Path, key: str | None = None) -> np.ndarray:
    """Read the shapes in a file, with the axes as the file has them.

    Numbers are occupied where they are above 0, or, of fractions, above 0.5. Bits that `numpy.packbits` packed along
    the last axis are unpacked if the .npz states the whole shape in an array "shape".

    Args:
        file: .binvox or .npy with one shape or many, or .npz.
        key: the array of an .npz. None = one of `NAMES`, or the only array.

    Returns:
        bool (N, X, Y, Z).

    Raises:
        ValueError: it is damaged, holds no shapes, or several arrays of which none is named.
        OSError: it cannot be read.
    """
    if file.suffix.lower() == ".binvox":
        with open_file(file) as opened:
            return _read_binvox(opened, file)[None]
    if file.suffix.lower() == ".npy":
        return _as_shapes(read_arrays(file)[""], file)
    with open_file(file) as opened:
        try:
            with zipfile.ZipFile(opened) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
        except zipfile.BadZipFile as error:
            raise ValueError(f"{shown(file)} is no .npz that can be read ({error}): write it anew") from error
    likely = [key] if key is not None else [*NAMES, *(names if len(names) == 1 else ())]
    name = next((each for each in likely if each in names), None)
    if name is None:
        missing = f"no array {key!r}" if key is not None else "several arrays, none of which is named voxels"
        raise ValueError(f"{shown(file)} has {missing} ({', '.join(names[:5])}): name one by `key`")
    arrays = read_arrays(file, [name, "shape"])
    values, whole = arrays[name], arrays.get("shape")
    if name != "shape" and whole is not None and whole.ndim == 1 and whole.size in (3, 4):
        values = _unpacked(values, [int(side) for side in whole], file)
    return _as_shapes(values, file)


def _unpacked(values: np.ndarray, whole: list[int], file: Path) -> np.ndarray:
    if list(values.shape) == whole:
        return values
    if values.dtype != np.uint8 or [*values.shape[:-1], -(-whole[-1] // 8)] != [*whole[:-1], values.shape[-1]]:
        raise ValueError(
            f"{shown(file)} states the shape {'x'.join(map(str, whole))}, and its array {values.dtype} "
            f"{'x'.join(map(str, values.shape))} holds no such bits: pack it by numpy.packbits(voxels, axis=-1)"
        )
    if 8 * values.size > MOST:
        raise ValueError(f"{shown(file)} holds {8 * values.size:,} voxels, and at most {MOST:,} are read: split it")
    return np.unpackbits(values, axis=-1, count=whole[-1])


def _as_shapes(values: np.ndarray, file: Path) -> np.ndarray:
    if values.ndim == 5 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (3, 4) or not values.size or values.dtype.kind not in "buif":
        raise ValueError(
            f"{shown(file)} holds {values.dtype} of shape {values.shape}, and shapes are numbers (X, Y, Z) or "
            "(N, X, Y, Z): write such an array"
        )
    occupied = values > (0.5 if values.dtype.kind == "f" else 0)
    return occupied[None] if occupied.ndim == 3 else occupied


def _read_binvox(opened: IO[bytes], file: Path) -> np.ndarray:
    """Read a .binvox: text lines up to "data", then runs of (value, count) in bytes; y runs fastest, then z, then x."""

    def damaged(reason: str) -> ValueError:
        return ValueError(f"{shown(file)} is no .binvox that can be read, since {reason}: write it anew")

    lines: list[list[str]] = []
    while not lines or lines[-1][:1] != ["data"]:
        line = opened.readline(_LONGEST_LINE)
        if not line.endswith(b"\n") or len(lines) > 20:
            raise damaged("its header has no end")
        lines.append(line.decode("ascii", "replace").split())
    sides = next((line[1:] for line in lines if line[:1] == ["dim"]), [])
    if lines[0][:1] != ["#binvox"] or len(sides) != 3 or not all(each.isdecimal() for each in sides):
        raise damaged("its header states no dimensions")
    depth, height, width = map(int, sides)
    if not all(1 <= side <= _LONGEST_SIDE for side in (depth, height, width)) or depth * height * width > MOST:
        raise damaged(f"its dimensions are {'x'.join(sides)}")
    runs = np.frombuffer(opened.read(2 * depth * height * width + 2), dtype=np.uint8)
    if len(runs) % 2 or int(runs[1::2].sum(dtype=np.int64)) != depth * height * width:
        raise damaged("its runs do not add up to its dimensions")
    values = np.repeat(runs[::2] != 0, runs[1::2])
    return values.reshape(depth, width, height).transpose(0, 2, 1)


# ---------------------------------------------------------------------- writing


def write_npz(voxels: Tensor, path: Path) -> None:
    """Write a shape float (1, X, Y, Z) in [-1, 1] as bool (X, Y, Z), `voxels` in an .npz, whole or not at all."""
    buffer = BytesIO()
    np.savez_compressed(buffer, voxels=voxels[0].cpu().numpy() > 0)
    write_whole(path, lambda part: part.write_bytes(buffer.getvalue()))


def check_meshes() -> None:
    """Raise ModuleNotFoundError unless scikit-image is installed, which finds the surfaces of shapes."""
    if find_spec("skimage") is None:
        raise ModuleNotFoundError(
            "meshes need scikit-image, which is not installed: pip install 'gan_lightning[shapes]', or write .npz"
        )


def surface(voxels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the surface of a shape as triangles, by marching cubes (Lewiner et al. 2003).

    Args:
        voxels: float (1, X, Y, Z) in [-1, 1]. The surface lies where they are 0; around the grid is empty space.

    Returns:
        Corners float32 (V, 3), in units of a voxel, y upwards, and triangles int64 (F, 3) of them, whose corners run
        counter-clockwise as seen from outside. Both are empty for an empty shape.

    Raises:
        ModuleNotFoundError: scikit-image is missing.
    """
    check_meshes()
    from skimage.measure import marching_cubes  # noqa: PLC0415 (imports scipy)

    field = np.pad(voxels[0].float().cpu().numpy(), 1, constant_values=-1)
    if not (field > 0).any():
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64)
    corners, triangles, *_ = marching_cubes(field, 0.0)
    return (corners - 1).astype(np.float32), triangles[:, ::-1].astype(np.int64)


def write_obj(voxels: Tensor, path: Path) -> None:
    """Write the surface of a shape, see `surface`, as Wavefront OBJ, whole or not at all."""
    corners, triangles = surface(voxels)
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in corners.tolist()]
    lines += [f"f {a} {b} {c}\n" for a, b, c in (triangles + 1).tolist()]
    write_whole(path, lambda part: part.write_text("".join(lines)))


def write_ply(voxels: Tensor, path: Path) -> None:
    """Write the surface of a shape, see `surface`, as binary PLY, whole or not at all."""
    corners, triangles = surface(voxels)
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(corners)}\nproperty float x\nproperty float y\n"
        f"property float z\nelement face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    kind: Any = [("count", "u1"), ("corners", "<i4", (3,))]
    faces = np.zeros(len(triangles), dtype=kind)
    faces["count"], faces["corners"] = 3, triangles
    content = header.encode() + corners.astype("<f4").tobytes() + faces.tobytes()
    write_whole(path, lambda part: part.write_bytes(content))


WRITERS = {"npz": write_npz, "obj": write_obj, "ply": write_ply}
"""Functions that write one shape float (1, X, Y, Z) in [-1, 1] as a file, by its suffix."""
