import os
from pathlib import Path

from gan_lightning.demo.visits import Visits, files_of


def file(path: Path, age: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


def test_the_files_of_a_visitor_go_when_they_leave_and_others_stay(tmp_path: Path) -> None:
    own = file(tmp_path / "page" / "sheet.png", 999)
    visits = Visits(tmp_path)
    visits.open()
    a, b, both = (file(tmp_path / name / "x.png") for name in ("a", "b", "both"))
    visits.note("anna", a, both)
    visits.note("ben", b, both)
    made = file(visits.folder("anna") / "after.png")
    kept = file(visits.folder("ben") / "after.png", 999)
    unused, recent = file(tmp_path / "c" / "x.png", 999), file(tmp_path / "d" / "x.png")
    visits.end("anna")
    assert not any(path.exists() for path in (a, made, unused))
    assert all(path.exists() for path in (own, b, both, kept, recent))
    visits.end("ben")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [own]
    visits.end("ben")  # twice


def test_no_session_names_a_folder_elsewhere(tmp_path: Path) -> None:
    visits = Visits(tmp_path)
    for session in ("../..", "/etc", "", None, "a" * 9999):
        assert visits.folder(session).parent == tmp_path
        assert len(visits.folder(session).name) < 100


def test_all_files_of_a_drawing_are_found() -> None:
    drawn = {"background": None, "layers": [{"path": "/a"}, None], "composite": {"path": "/b"}, "id": None}
    assert set(files_of(drawn)) == {Path("/a"), Path("/b")}
