"""One exchange with a provider, over HTTP: a JSON body comes back, or a `ProviderError` says why not.

The connection is httpx's. The key goes into a header, and out of everything that comes back.
"""

from __future__ import annotations

import asyncio
import dataclasses
import html
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from mmad_answer.model import LoadError
from mmad_answer.remote.dialect import Dialect, Json
from mmad_answer.remote.faults import Kind, ProviderError
from mmad_answer.remote.keys import Key
from mmad_answer.remote.limits import rest_seconds, retry_after_seconds

_CONNECT_SECONDS: Final = 20.0
_LONGEST_MESSAGE: Final = 300
"""Characters of what a provider says about a fault; it may be a whole page."""
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """What came back with a status of success."""

    body: Json
    headers: Mapping[str, str]


class Transport:
    """Connections to one base address. Belongs to one event loop; enter it to open them."""

    def __init__(self, base_url: str, dialect: Dialect, key: Key | None, connections: int) -> None:
        """Make ready to connect.

        Raises:
            LoadError: the address, or the environment's certificates or proxy, cannot be used.
        """
        self._base_url = base_url.rstrip("/")
        self._dialect = dialect
        self._key = key
        self._client = _client(self._base_url, dialect.headers(key), connections)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def exchange(
        self, method: str, path: str, content: bytes | None, timeout_seconds: float, tokens: int = 1
    ) -> Received:
        """Send one request, which takes about so many tokens, and receive the whole reply to it.

        Raises:
            ProviderError: it came to nothing. What it cost may be lost: whoever asks again pays again.
        """
        try:
            async with asyncio.timeout(timeout_seconds):  # httpx's own starts anew with each piece
                response = await self._client.request(
                    method,
                    self._base_url + path,
                    content=content,
                    headers={"content-type": "application/json"} if content is not None else None,
                )
        except TimeoutError:
            raise self._error(Kind.PASSING, f"gave no whole reply within {timeout_seconds:g} s") from None
        except httpx.ConnectTimeout:
            raise self._error(Kind.PASSING, f"took no connection within {_CONNECT_SECONDS:g} s") from None
        except httpx.ConnectError as error:
            raise self._error(Kind.PASSING, f"cannot be connected to: {error}") from None
        except httpx.HTTPError as error:
            raise self._error(
                Kind.PASSING, f"broke the connection: {error or type(error).__name__}"
            ) from None
        body = _json(response)
        if not response.is_success:
            raise self._fault(response, body, tokens)
        if body is None:
            raise self._error(Kind.PASSING, f"did not reply in JSON, but with {self._glimpse(response)}")
        try:
            return Received(self._key.scrub_reply(body) if self._key else body, response.headers)
        except RecursionError:
            raise self.malformed("it is nested too deeply") from None

    def told(self, error: ProviderError) -> ProviderError:
        """What a dialect read in a reply, for people; a refusal, whose words are the answer, as it is."""
        if error.kind is Kind.REFUSED:
            words = str(error)
            return ProviderError(error.kind, self._key.scrub_reply(words) if self._key else words)
        return self._error(error.kind, f"says: {error}", error.retry_seconds)

    def malformed(self, what: str) -> ProviderError:
        """A reply in JSON that is not what the API promises."""
        return self._error(Kind.NO_ANSWER, f"replied with JSON that holds no answer: {what}")

    def _fault(self, response: httpx.Response, body: Json, tokens: int) -> ProviderError:
        fault = self._dialect.fault(response.status_code, body)
        said = str(fault) or self._glimpse(response)
        if response.next_request is not None:
            # The whole address may hold a secret, of whoever wrote it.
            target = response.next_request.url.copy_with(
                query=None, fragment=None, username=None, password=None
            )
            said = f"it sends on to {target}; give that server's address with --base-url"
        if fault.kind is Kind.REFUSED:
            return self.told(fault)
        wait = fault.retry_seconds
        if wait is None:
            wait = retry_after_seconds(response.headers)
        if fault.kind is Kind.RATE_LIMITED and (rest := rest_seconds(response.headers, tokens)):
            wait = max(wait or 0.0, rest)
        return self._error(fault.kind, f"says {response.status_code} {response.reason_phrase}: {said}", wait)

    def _glimpse(self, response: httpx.Response) -> str:
        """A body that is no JSON, for people: its type and its title or beginning."""
        text = self._scrubbed(response.text)
        title = _TITLE.search(text)
        kind = response.headers.get("content-type", "no type").split(";")[0]
        return f'{kind}: "{html.unescape(title[1]) if title else text[:_LONGEST_MESSAGE]}"'

    def _error(self, kind: Kind, what: str, retry_seconds: float | None = None) -> ProviderError:
        line = " ".join(self._scrubbed(what).split())
        return ProviderError(kind, f"{self._base_url} {line[:_LONGEST_MESSAGE]}", retry_seconds)

    def _scrubbed(self, text: str) -> str:
        """Without the key. Before anything is cut: a part of a key is a part of a secret."""
        return self._key.scrub(text) if self._key else text


def _client(base_url: str, headers: Mapping[str, str], connections: int) -> httpx.AsyncClient:
    try:
        _ = httpx.URL(base_url).host
    except (httpx.InvalidURL, ValueError) as error:
        raise LoadError(f"--base-url {base_url!r}: is no address of a web API: {error}") from None
    try:
        return httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=connections),
        )
    except OSError as error:
        raise LoadError(
            "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names in the environment cannot be read: "
            f"{error.strerror or error}"
        ) from None
    except (ImportError, ValueError, httpx.InvalidURL):  # their words may hold the proxy's password
        raise LoadError(
            "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names in the environment cannot be used: "
            "give one as http://HOST:PORT, or unset the variable"
        ) from None


def _json(response: httpx.Response) -> Json:
    """The body; None if it is no JSON."""
    try:
        body: Any = response.json()
    except (ValueError, RecursionError):
        return None
    return body
