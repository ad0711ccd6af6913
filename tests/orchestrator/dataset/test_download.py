"""The download against a server on loopback that speaks the few endpoints of the hub, through HF_ENDPOINT."""

import hashlib
import http.server
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.dataset.download import ARCHIVE, REPOSITORY, REVISION_FILE, pinned
from orchestrator.dataset.reading import read
from orchestrator.dataset.verify import verify

SCRIPT = """
import sys
from pathlib import Path
from orchestrator.dataset.download import download
from orchestrator.errors import DataError
try:
    download(Path(sys.argv[1]), print, *sys.argv[2:])
except DataError as error:
    sys.exit(f"ERROR: {error}")
"""


class Hub:
    """A hub with one repository of one or more commits; tests spoil it by its attributes."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.licence: str | None = "cc-by-nc-sa-4.0"
        self.requests: list[tuple[str, str, str]] = []
        """(method, path, Range header)."""
        self.stall_after: int | None = None
        """Send so many bytes of the archive, then nothing more, with the connection open."""
        self.cut_after: int | None = None
        """Send so many bytes of the archive, then close; once."""
        self.status: int | None = None
        self.claim_size = 0
        """Added to the archive's size in the listing."""
        self.released = threading.Event()
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET  # noqa: N815

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.requests.append((request.command, path, request.headers.get("Range", "")))
        if self.status:
            return self._send(request, self.status, b"{}")
        api = f"/api/datasets/{REPOSITORY}/revision/"
        resolve = f"/datasets/{REPOSITORY}/resolve/"
        if path.startswith(api):
            commit = self.branches.get(path.removeprefix(api), path.removeprefix(api))
            if commit in self.commits:
                return self._send(request, 200, json.dumps(self._info(commit)).encode())
            return self._send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if path.startswith(resolve):
            commit, _, name = path.removeprefix(resolve).partition("/")
            return self._file(request, name, self.commits[commit][name])
        return self._send(request, 401, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _info(self, commit: str) -> dict[str, object]:
        files = [
            {
                "rfilename": name,
                "size": len(content) + (self.claim_size if name == ARCHIVE else 0),
                "lfs": {
                    "size": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "pointerSize": 1,
                },
            }
            for name, content in self.commits[commit].items()
        ]
        card = {"license": self.licence} if self.licence else {}
        return {"id": REPOSITORY, "sha": commit, "siblings": files, "cardData": card}

    def _file(self, request: http.server.BaseHTTPRequestHandler, name: str, content: bytes) -> None:
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        status = 206 if start else 200
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        body, stop = content[start:], None
        if name == ARCHIVE:
            stop = self.stall_after or self.cut_after
        if stop is None:
            return self._send(request, status, body, headers)
        self._send(request, status, body[:stop], headers, length=len(body))
        request.wfile.flush()
        if self.stall_after:
            self.released.wait(30)
        self.cut_after = None
        request.close_connection = True
        return None

    @staticmethod
    def _send(
        request: http.server.BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        request.send_response(status)
        for key, value in (headers or {}).items():
            request.send_header(key, value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def ranges(self) -> list[str]:
        """The Range headers with which the archive was asked for."""
        return [
            ranges for method, path, ranges in self.requests if method == "GET" and path.endswith(ARCHIVE)
        ]


@pytest.fixture
def hub(tiny) -> Iterator[Hub]:
    made = Hub()
    made.commits["a" * 40] = packed(tiny)
    made.branches["main"] = "a" * 40
    yield made
    made.close()


def packed(tiny, padding: int = 400_000) -> dict[str, bytes]:
    """The files of a repository: the annotations, a card and an archive with some padding to break off in."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((tiny.root / "Tiny").rglob("*.png")):
            archive.write(path, path.relative_to(tiny.root).as_posix())
        archive.writestr("Tiny/padding.bin", random.Random(1).randbytes(padding))
    return {
        "mmad.json": (tiny.root / "mmad.json").read_bytes(),
        "README.md": b"---\nlicense: cc-by-nc-sa-4.0\n---\n",
        ARCHIVE: buffer.getvalue(),
    }


def environment(hub: Hub, tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SYSTEMROOT") if name in os.environ}
    return {
        **kept,
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


def run(hub: Hub, tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "mmad"), *arguments],
        env=environment(hub, tmp_path, **more),
        capture_output=True,
        text=True,
        timeout=60,
    )


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return line


def test_a_download_is_complete_readable_and_remembers_its_commit_and_shows_the_licence(
    hub, tmp_path, tiny
) -> None:
    done = run(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "a" * 40 in lines[0]
    assert "cc-by-nc-sa-4.0" in lines[0]
    folder = tmp_path / "mmad"
    assert read(folder).samples == read(tiny.root).samples
    assert verify(folder).findings == ()
    pin = pinned(folder)
    assert pin is not None
    assert (pin.repository, pin.revision, pin.commit, pin.complete) == (REPOSITORY, "main", "a" * 40, True)
    assert "100%" in done.stderr
    assert not (folder / ".mmad-download").exists()


def test_a_complete_folder_stays_on_its_commit_without_asking_until_told_otherwise(
    hub, tmp_path, tiny
) -> None:
    run(hub, tmp_path)
    tiny.entries.pop("Tiny/nut/image/good/000.png")
    tiny.write()
    tiny.picture("Tiny/nut/image/broken/000.png")
    hub.commits["b" * 40] = packed(tiny)
    hub.branches["main"] = "b" * 40
    hub.branches["v2"] = "b" * 40
    hub.requests.clear()
    done = run(hub, tmp_path)
    assert "already" in done.stdout
    assert hub.requests == []
    assert len(read(tmp_path / "mmad").samples) == 4
    done = run(hub, tmp_path, "v2")
    assert done.returncode == 0, done.stderr
    assert len(read(tmp_path / "mmad").samples) == 3
    image = "Tiny/nut/image/broken/000.png"
    assert (tmp_path / "mmad" / image).read_bytes() == (tiny.root / image).read_bytes()
    pin = pinned(tmp_path / "mmad")
    assert pin is not None
    assert (pin.revision, pin.commit) == ("v2", "b" * 40)


def test_a_killed_download_goes_on_where_it_was_on_the_same_commit(hub, tmp_path, tiny) -> None:
    """The hub's library writes ten megabytes at a time: so much a kill can cost."""
    hub.commits["a" * 40] = packed(tiny, padding=24_000_000)
    hub.stall_after = 15_000_000
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "mmad")],
        env=environment(hub, tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    part = tmp_path / "mmad" / ".mmad-download" / ("a" * 40) / f"{ARCHIVE}.part"
    deadline = time.monotonic() + 40
    while not (part.is_file() and part.stat().st_size >= 10_000_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    assert kept >= 10_000_000
    hub.stall_after = None
    hub.released.set()
    hub.commits["b" * 40] = {}
    hub.branches["main"] = "b" * 40
    done = run(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert hub.ranges() == ["", f"bytes={kept}-"]
    assert "going on from" in done.stdout
    assert verify(tmp_path / "mmad").findings == ()


def test_a_connection_that_breaks_is_taken_up_again_within_the_call(hub, tmp_path) -> None:
    hub.cut_after = 150_000
    done = run(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(hub.ranges()) == 2
    assert verify(tmp_path / "mmad").findings == ()


def test_a_file_that_arrives_damaged_is_not_unpacked(hub, tmp_path) -> None:
    content = hub.commits["a" * 40]
    archive = content[ARCHIVE]
    original = hub._info

    def info(commit: str) -> dict[str, object]:
        content[ARCHIVE] = archive
        listed = original(commit)
        content[ARCHIVE] = archive[:-1] + b"?"
        return listed

    hub._info = info
    assert "arrived damaged" in error_line(run(hub, tmp_path))
    assert not (tmp_path / "mmad" / "Tiny").exists()


def test_without_room_nothing_is_downloaded(hub, tmp_path) -> None:
    hub.claim_size = 10**15
    line = error_line(run(hub, tmp_path))
    assert "needs 2,000,000.0 GB" in line
    assert hub.ranges() == []
    assert "GB are free" in line


def test_a_wrong_repository_is_a_clear_line(hub, tmp_path) -> None:
    done = run(hub, tmp_path, "main", "nobody/nothing")
    assert f"nobody/nothing on {hub.url}: there is no such data set" in error_line(done)
    assert "is no name of a data set" in error_line(run(hub, tmp_path, "main", "a/b/c"))


def test_a_wrong_revision_is_a_clear_line_and_leaves_no_folder(hub, tmp_path) -> None:
    assert "there is no revision 'v9'" in error_line(run(hub, tmp_path, "v9"))
    assert not (tmp_path / "mmad").exists()


def test_offline_mode_is_a_clear_line(hub, tmp_path) -> None:
    assert "HF_HUB_OFFLINE is set" in error_line(run(hub, tmp_path, HF_HUB_OFFLINE="1"))


def test_a_hub_that_is_down_or_broken_is_a_clear_line(hub, tmp_path) -> None:
    hub.status = 403
    assert "the hub answered 403" in error_line(run(hub, tmp_path))
    hub.close()
    assert f"{hub.url}: cannot be reached" in error_line(run(hub, tmp_path))


def test_a_repository_without_the_archive_says_what_it_has(hub, tmp_path) -> None:
    del hub.commits["a" * 40][ARCHIVE]
    assert "has no ALL_DATA.zip; it has README.md, mmad.json" in error_line(run(hub, tmp_path))


def test_a_card_without_a_licence_is_said_to_be_so(hub, tmp_path) -> None:
    hub.licence = None
    assert "names no licence" in run(hub, tmp_path).stdout


def test_a_broken_revision_file_is_a_clear_line(hub, tmp_path) -> None:
    (tmp_path / "mmad").mkdir()
    (tmp_path / "mmad" / REVISION_FILE).write_text("abc")
    assert "remove it to download anew" in error_line(run(hub, tmp_path))


def test_without_the_hub_library_the_command_that_installs_it_is_named(tmp_path) -> None:
    script = "import sys; sys.modules['huggingface_hub'] = None\n" + SCRIPT
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "mmad")], capture_output=True, text=True, timeout=60
    )
    assert 'pip install "huggingface-hub>=1.0"' in error_line(done)
