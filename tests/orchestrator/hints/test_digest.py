"""Whether maps are the same, told without reading them whole."""

import os

import pytest

from orchestrator.hints.digest import sampled_digest


@pytest.fixture
def write(tmp_path):
    def call(content, name="m"):
        path = tmp_path / name
        path.write_bytes(content)
        return sampled_digest([("m", path)])

    return call


def test_times_do_not_count(write, tmp_path):
    before = write(b"content")
    os.utime(tmp_path / "m", (1, 1))
    assert sampled_digest([("m", tmp_path / "m")]) == before


@pytest.mark.parametrize("size", [1, 4096, 5000, 33_333, 65_536])
def test_every_byte_of_a_small_file_counts(write, size):
    before = write(bytes(size))
    for place in {*range(0, size, 997), size - 1}:
        content = bytearray(size)
        content[place] = 1
        assert write(content) != before


def test_of_a_large_file_size_beginning_and_end_count(write):
    size = 10_000_000
    digests = {write(bytes(size)), write(bytes(size + 1))}
    digests.add(write(b"\1" + bytes(size - 1)))
    digests.add(write(bytes(size - 1) + b"\1"))
    assert len(digests) == 4


def test_names_and_order_count(write, tmp_path):
    write(b"a")
    a = tmp_path / "m"
    one, other = sampled_digest([("x", a), ("y", a)]), sampled_digest([("y", a), ("x", a)])
    assert len({one, other, sampled_digest([("x", a)])}) == 3


def test_a_file_that_cannot_be_read_is_another(write, tmp_path):
    assert sampled_digest([("m", tmp_path / "none")]) != write(b"")
