import io
import shutil
import stat
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from orchestrator.dataset.unpacking import unpack, unpacked_bytes
from orchestrator.errors import DataError

FILES = {"DS/nut/1.png": b"one" * 100, "DS/nut/2.png": b"two" * 100}


def archive(
    tmp_path: Path, files: dict[str, bytes] | None = None, extra: list[zipfile.ZipInfo] | None = None
) -> Path:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as content:
        for name, data in (FILES if files is None else files).items():
            content.writestr(name, data)
        for info in extra or []:
            content.writestr(info, "/etc/passwd")
    return path


def unpack_all(path: Path, root: Path, renew: bool = False) -> list[int]:
    root.mkdir(exist_ok=True)
    steps: list[int] = []
    unpack(path, root, renew=renew, within=["DS"], progress=steps.append)
    return steps


def test_every_file_is_unpacked_and_counted(tmp_path: Path) -> None:
    path = archive(tmp_path)
    steps = unpack_all(path, tmp_path / "root")
    for name, data in FILES.items():
        assert (tmp_path / "root" / name).read_bytes() == data
    assert sum(steps) == unpacked_bytes(path) == 600


def test_what_is_there_with_the_same_size_is_skipped_and_the_rest_is_renewed(tmp_path: Path) -> None:
    path, root = archive(tmp_path), tmp_path / "root"
    unpack_all(path, root)
    (root / "DS/nut/1.png").write_bytes(b"ONE" * 100)
    (root / "DS/nut/2.png").write_bytes(b"cut")
    steps = unpack_all(path, root)
    assert (root / "DS/nut/1.png").read_bytes() == b"ONE" * 100
    assert (root / "DS/nut/2.png").read_bytes() == b"two" * 100
    assert steps == [300, 300]


def test_another_revision_replaces_also_what_has_the_same_size(tmp_path: Path) -> None:
    path, root = archive(tmp_path), tmp_path / "root"
    unpack_all(path, root)
    (root / "DS/nut/1.png").write_bytes(b"ONE" * 100)
    unpack_all(path, root, renew=True)
    assert (root / "DS/nut/1.png").read_bytes() == b"one" * 100


def test_a_folder_around_the_whole_archive_is_left_out(tmp_path: Path) -> None:
    path = archive(tmp_path, {f"ALL_DATA/{name}": data for name, data in FILES.items()})
    unpack_all(path, tmp_path / "root")
    assert (tmp_path / "root/DS/nut/1.png").is_file()


@pytest.mark.parametrize(
    "name", ["../evil.png", "DS/../../evil.png", "/tmp/evil.png", "C:/evil.png", "DS\\..\\evil.png"]
)
def test_a_member_that_would_lie_outside_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = name
    path = archive(tmp_path, extra=[info])
    with pytest.raises(DataError, match="would lie outside"):
        unpack_all(path, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("DS/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="is a link"):
        unpack_all(archive(tmp_path, extra=[info]), tmp_path / "root")


def test_a_damaged_member_is_found_and_not_put_in_place(tmp_path: Path) -> None:
    path = archive(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"two" * 100, b"tow" * 100))
    with pytest.raises(DataError, match="the archive is damaged"):
        unpack_all(path, tmp_path / "root")
    assert [p.name for p in (tmp_path / "root/DS/nut").iterdir()] == ["1.png"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_what_is_no_archive_is_a_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "all.zip").write_bytes(content)
    for act in (unpacked_bytes, lambda path: unpack_all(path, tmp_path / "root")):
        with pytest.raises(DataError, match="the archive is damaged"):
            act(tmp_path / "all.zip")


def test_a_disk_without_room_is_found_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 900, 100))
    with pytest.raises(DataError, match=r"unpacking needs .* GB, but .* GB are free"):
        unpack_all(archive(tmp_path), tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_breaking_off_leaves_no_half_file(tmp_path: Path, monkeypatch) -> None:
    def interrupted(source: io.BufferedIOBase, target: io.BufferedIOBase, length: int) -> None:
        target.write(source.read(10))
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack_all(archive(tmp_path), tmp_path / "root")
    assert [p for p in (tmp_path / "root").rglob("*") if p.is_file()] == []
