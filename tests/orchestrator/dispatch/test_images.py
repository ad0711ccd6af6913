"""Image files: read once where they can be, and named when they cannot."""

import asyncio
import os
import threading

import pytest

from orchestrator.dispatch import images as images_module
from orchestrator.dispatch.images import ImageCache, UnreadableImageError, media_type


@pytest.fixture
def reads(monkeypatch):
    """The paths that were read from the disk, in order."""
    paths = []
    original = images_module._read_file

    def counting(path):
        assert threading.current_thread() is not threading.main_thread()
        paths.append(path.name)
        return original(path)

    monkeypatch.setattr(images_module, "_read_file", counting)
    return paths


async def test_models_that_want_a_file_at_once_share_one_read(tmp_path, reads):
    (tmp_path / "a").write_bytes(b"content")
    cache = ImageCache(tmp_path, 100)
    assert await asyncio.gather(*(cache.read("a") for _ in range(8))) == [b"content"] * 8
    assert await cache.read("a") == b"content"
    assert reads == ["a"]


async def test_a_reader_that_is_cancelled_leaves_the_read_to_the_others(tmp_path, reads):
    (tmp_path / "a").write_bytes(b"content")
    cache = ImageCache(tmp_path, 100)
    first, second = asyncio.create_task(cache.read("a")), asyncio.create_task(cache.read("a"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"content"
    assert reads == ["a"]


async def test_the_least_recently_used_files_make_room(tmp_path, reads):
    for name in "abc":
        (tmp_path / name).write_bytes(bytes(40))
    cache = ImageCache(tmp_path, 100)
    for name in "abacba":
        await cache.read(name)
    assert reads == ["a", "b", "c", "b", "a"]


async def test_a_file_larger_than_the_cache_is_read_and_pushes_nothing_out(tmp_path, reads):
    (tmp_path / "small").write_bytes(bytes(40))
    (tmp_path / "large").write_bytes(bytes(101))
    cache = ImageCache(tmp_path, 100)
    for name in ("small", "large", "large", "small"):
        await cache.read(name)
    assert reads == ["small", "large", "large"]


async def test_a_file_that_could_not_be_read_is_tried_again_the_next_time(tmp_path):
    cache = ImageCache(tmp_path, 100)
    with pytest.raises(UnreadableImageError, match=r"^a: No such file or directory$"):
        await cache.read("a")
    (tmp_path / "a").write_bytes(b"now")
    assert await cache.read("a") == b"now"


async def test_what_is_no_file_is_named_with_the_reason(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    cache = ImageCache(tmp_path, 100)
    for name, reason in (("folder", "not a file"), ("empty", "the file is empty"), ("pipe", "not a file")):
        with pytest.raises(UnreadableImageError, match=f"^{name}: {reason}$"):
            await cache.read(name)
    with pytest.raises(UnreadableImageError, match="null byte"):
        await cache.read("nul\0l")


async def test_an_unreadable_image_fails_its_inspection_with_its_path_and_the_rest_goes_on(house):
    service = await house.service()
    inspections = house.inspections(3)
    (house.root / inspections[1].inspection_id).unlink()
    (ending,) = await house.run(inspections, house.model(service))
    assert ending.reason == ""
    failed = {reply.question_id: reply.failure for reply in house.memory.replies.values() if reply.failure}
    assert failed == {
        question.question_id: "unreadable image DS/part/good/001.png: No such file or directory"
        for question in inspections[1].questions
    }
    assert len(house.memory.replies) == 9
    unreadable = [a for a in house.memory.attempts if a.code == "UNREADABLE_IMAGE"]
    assert [(a.asked, a.answered, a.request_bytes) for a in unreadable] == [(3, 0, 0)]
    assert len(service.requests) == 2


async def test_each_image_is_read_once_for_several_models_that_keep_pace(house, reads):
    one, other = await house.service("one"), await house.service("other")
    inspections = [house.inspection(f"q{n}.png", templates=["template.png"]) for n in range(10)]
    await house.run(inspections, house.model(one), house.model(other))
    assert sorted(reads) == sorted([f"q{n}.png" for n in range(10)] + ["template.png"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM......", "image/bmp"),
        (b"MM\x00*", "image/tiff"),
        (b"not an image", "application/octet-stream"),
    ],
)
def test_the_media_type_is_told_by_the_first_bytes_and_not_by_the_name(content, expected):
    assert media_type(content) == expected
