"""Whether an address can be listened on, asked of the system: gRPC would only say no, the system says why.

Left alone, gRPC takes a unix socket over from whoever listens on it, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import Final

_UNIX: Final = "unix:"
_CONNECT_SECONDS: Final = 1.0


class ListenError(Exception):
    """The address cannot be had. Its message is one line for the person at the terminal."""


def probe(address: str) -> None:
    """Check that a server can listen on "host:port" or "unix:///path", where a stale socket file may be.

    Raises:
        ListenError: it cannot, and why.
    """
    try:
        if is_unix(address):
            _bind_path(_path(address))
        else:
            _bind_port(address)
    except (ValueError, OverflowError):
        raise ListenError(f"cannot listen on {address!r}: neither host:port nor unix:///path") from None
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            other = "path" if is_unix(address) else "port, or 0 for a free one"
            reason += f": choose another {other}"
        raise ListenError(f"cannot listen on {address}: {reason}") from None


def is_unix(address: str) -> bool:
    """Whether it names a socket file rather than a host and a port."""
    return address.startswith(_UNIX)


def host_of(address: str) -> str:
    """The host of "host:port"; this machine alone for a socket file."""
    return "127.0.0.1" if is_unix(address) else address.rpartition(":")[0].strip("[]")


def _bind_port(address: str) -> None:
    host, port = host_of(address), address.rpartition(":")[2]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind((host, int(port)))


def _bind_path(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode) or _answers(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    trial = _private(path)
    trial.unlink(missing_ok=True)  # ours by its name: left by a process of the same number that was killed
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(trial))
    trial.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(_CONNECT_SECONDS)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            return False
        except TimeoutError:  # somebody listens, and is busy or stopped
            return True
    return True


def _private(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}")


class SocketFile:
    """A unix socket under the name that callers know.

    At its end gRPC removes whatever has the name that it has bound, another server's socket as well. So it
    binds a name of this process's own, and the file is moved from there. The price: a few characters of the
    about 100 that a socket's path may have.
    """

    def __init__(self, address: str) -> None:
        self._path = _path(address)
        self._identity: tuple[int, int] | None = None

    @property
    def address_to_bind(self) -> str:
        """What gRPC is to listen on."""
        return f"{_UNIX}{_private(self._path)}"

    def publish(self) -> None:
        """Give the bound socket its name; a stale file of that name goes."""
        _private(self._path).replace(self._path)
        self._identity = self._current()

    def remove(self) -> None:
        """Remove the file, if it is still this one's."""
        with contextlib.suppress(FileNotFoundError):
            if self._identity == self._current():
                self._path.unlink()

    def _current(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_dev, found.st_ino


def _path(address: str) -> Path:
    path = address.removeprefix(_UNIX).removeprefix("//")
    if not path:
        raise ValueError("no path")
    return Path(path)
