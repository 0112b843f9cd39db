"""Files of voxels: reading, hostile files, and the surfaces that are written."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_lightning.data.voxels import MOST, read_arrays, read_voxels, surface, write_npz, write_obj, write_ply

RNG = np.random.default_rng(0)
SHAPES = RNG.random((3, 4, 5, 6)) < 0.4


def binvox(shape: np.ndarray) -> bytes:
    """The format as its author describes it: y runs fastest, then z, then x."""
    depth, height, width = shape.shape
    runs = b""
    for value in shape.transpose(0, 2, 1).ravel():
        runs += bytes([int(value), 1])
    return f"#binvox 1\ndim {depth} {height} {width}\ntranslate 0 0 0\nscale 1\ndata\n".encode() + runs


def test_every_format_gives_the_same_shapes(tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", SHAPES)
    np.save(tmp_path / "one.npy", SHAPES[1].astype(np.float32) * 0.9)
    np.savez(tmp_path / "named.npz", other=np.zeros(3), voxels=SHAPES.astype(np.int64))
    np.savez_compressed(tmp_path / "packed.npz", vox=np.packbits(SHAPES, axis=-1), shape=np.array(SHAPES.shape))
    np.savez(tmp_path / "only.npz", anything=SHAPES[:, None])
    (tmp_path / "one.binvox").write_bytes(binvox(SHAPES[2]))
    for name in ("many.npy", "named.npz", "packed.npz", "only.npz"):
        assert np.array_equal(read_voxels(tmp_path / name), SHAPES), name
    assert np.array_equal(read_voxels(tmp_path / "one.npy"), SHAPES[1:2])
    assert np.array_equal(read_voxels(tmp_path / "one.binvox"), SHAPES[2:])
    np.savez(tmp_path / "two.npz", a=SHAPES, b=~SHAPES)
    assert np.array_equal(read_voxels(tmp_path / "two.npz", key="b"), ~SHAPES)
    with pytest.raises(ValueError, match=r"several arrays, none of which is named voxels \(a, b\): name one by `key`"):
        read_voxels(tmp_path / "two.npz")
    with pytest.raises(ValueError, match=r"no array 'c' \(a, b\)"):
        read_voxels(tmp_path / "two.npz", key="c")


def test_long_runs_of_a_binvox_are_repeated(tmp_path: Path) -> None:
    header = b"#binvox 1\ndim 8 8 8\ndata\n"
    (tmp_path / "a.binvox").write_bytes(header + bytes([0, 255, 1, 2, 0, 255]))
    found = read_voxels(tmp_path / "a.binvox")
    assert found.sum() == 2
    x, y, z = np.argwhere(found[0])[0]
    assert x * 64 + z * 8 + y == 255


def header(shape: str, dtype: str = "'<f4'") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.npy", b"no numpy at all", "magic string"),
        ("a.npy", header("(4, 4, 4)"), r"a.npy is cut off: an array of 4x4x4 has 256 bytes"),
        ("a.npy", header("(99999, 99999, 99999)"), r"a.npy is too large: an array of 99999x99999x99999"),
        ("a.npy", header("(2, 2, 2)", "'|O'") + b"x" * 64, "holds Python objects"),
        ("a.npy", header("(2, 2)") + bytes(16), r"shapes are numbers \(X, Y, Z\)"),
        ("a.npz", b"PK\x03\x04 no zip", "no .npz that can be read"),
        ("a.binvox", b"#binvox 1\ndim 4 4 4\ndata\n\x00\x10", "runs do not add up"),
        ("a.binvox", b"#binvox 1\ndim 9999 9999 9999\ndata\n", "dimensions are 9999x9999x9999"),
        ("a.binvox", b"#binvox 1\ndata\n", "states no dimensions"),
        ("a.binvox", b"x" * 5000, "its header has no end"),
        ("a.binvox", b"", "its header has no end"),
    ],
)
def test_hostile_files_are_a_sentence(name: str, content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=match):
        read_voxels(tmp_path / name)


def test_a_bomb_in_an_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("voxels.npy", header(f"({MOST},)", "'|u1'") + bytes(1000))
    with pytest.raises(ValueError, match=r"is cut off"):
        read_voxels(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", vox=np.zeros((2, 4, 4, 1), np.uint8), shape=np.array([2, 4, 4, 99]))
    with pytest.raises(ValueError, match=r"states the shape 2x4x4x99, .* holds no such bits"):
        read_voxels(tmp_path / "b.npz")


def test_a_shape_is_written_and_read_again(tmp_path: Path) -> None:
    voxels = torch.from_numpy(SHAPES[:1]).float() * 1.8 - 0.9
    write_npz(voxels, tmp_path / "a.npz")
    assert np.array_equal(read_voxels(tmp_path / "a.npz"), SHAPES[:1])
    assert read_arrays(tmp_path / "a.npz").keys() == {"voxels"}


def ball(side: int = 16, radius: float = 5) -> torch.Tensor:
    axis = torch.arange(side) - (side - 1) / 2
    distance = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    return (radius - distance).clamp(-1, 1)[None]


def test_the_surface_of_a_ball_is_closed_outward_and_of_its_size(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    corners, triangles = surface(ball())
    a, b, c = (corners[triangles[:, i]] - 7.5 for i in range(3))
    volume = (a * np.cross(b, c)).sum() / 6  # positive: corners run counter-clockwise as seen from outside
    assert volume == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.03)
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()

    write_obj(ball(), tmp_path / "a.obj")
    lines = [line.split() for line in (tmp_path / "a.obj").read_text().splitlines()]
    vertices = np.array([line[1:] for line in lines if line[0] == "v"], float)
    faces = np.array([line[1:] for line in lines if line[0] == "f"], int)
    np.testing.assert_allclose(vertices, corners, atol=1e-3)
    assert np.array_equal(faces - 1, triangles)

    write_ply(ball(), tmp_path / "a.ply")
    content = (tmp_path / "a.ply").read_bytes()
    head, _, data = content.partition(b"end_header\n")
    assert f"element vertex {len(corners)}\n".encode() in head
    assert len(data) == 12 * len(corners) + 13 * len(triangles)
    assert np.array_equal(np.frombuffer(data[: 12 * len(corners)], "<f4").reshape(-1, 3), corners)


def test_a_shape_that_fills_its_grid_has_a_surface_and_an_empty_one_none() -> None:
    pytest.importorskip("skimage")
    corners, triangles = surface(torch.ones(1, 4, 4, 4))
    assert len(triangles)
    assert corners.min() == -0.5
    assert corners.max() == 3.5
    assert [len(part) for part in surface(-torch.ones(1, 4, 4, 4))] == [0, 0]
