import concurrent.futures
import logging
import os

import pytest

from mmad_answer.model import LoadError
from mmad_answer.remote.cache import ReplyCache

DIGEST = "ab" * 32


def only_file(folder):
    [path] = [path for path in folder.rglob("*") if path.is_file()]
    return path


def test_a_reply_is_there_again_after_a_restart(tmp_path):
    reply = {"text": "ÄÖ", "usage": {"n": 1}}
    ReplyCache(tmp_path / "new").put(DIGEST, reply)
    assert ReplyCache(tmp_path / "new").get(DIGEST) == reply
    assert ReplyCache(tmp_path / "new").get("cd" * 32) is None


@pytest.mark.parametrize(
    "damage", [lambda all_: all_[:-2], lambda all_: b"", lambda all_: all_.replace(b"A", b"B")]
)
def test_a_damaged_entry_is_a_miss_that_is_logged_and_can_be_written_anew(tmp_path, caplog, damage):
    cache = ReplyCache(tmp_path)
    cache.put(DIGEST, {"text": "A"})
    path = only_file(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get(DIGEST) is None
    assert str(path) in caplog.text
    cache.put(DIGEST, {"text": "C"})
    assert cache.get(DIGEST) == {"text": "C"}


def test_writers_at_once_leave_one_whole_reply_and_nothing_else(tmp_path):
    caches = [ReplyCache(tmp_path) for _ in range(4)]
    replies = [{"text": str(n) * 10_000} for n in range(40)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: caches[n % 4].put(DIGEST, replies[n]), range(40)))
    assert caches[0].get(DIGEST) in replies
    only_file(tmp_path)


def test_a_writer_that_dies_midway_leaves_no_entry(tmp_path, monkeypatch):
    cache = ReplyCache(tmp_path)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        cache.put(DIGEST, {"text": "A"})
    assert cache.get(DIGEST) is None


def test_a_full_disk_costs_the_entry_and_not_the_answer(tmp_path, monkeypatch, caplog):
    cache = ReplyCache(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING):
        cache.put(DIGEST, {"text": "A"})
    assert "No space left on device" in caplog.text
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_written_to_is_said_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadError, match=r"--reply-cache .*file: cannot be written to: "):
        ReplyCache(tmp_path / "file")
