"""A Gemini API of this machine's own: it takes what the published schema allows, and plays what it is told.

Every request is read into the API's own protobuf messages, strictly, and held against the rules that the
API's documentation adds to them. Every reply is read into them too, so that no test rests on a reply that the
API cannot give. Runs in an environment of its own, as what it is compared with: the provider's own client.

`PUT /script` sets the replies to come (a list, see `Script`), and `GET /record` tells which requests came.
"""

import argparse
import dataclasses
import http.server
import json
import os
import re
import socket
import struct
import sys
import threading
import time
from typing import Any

from google.ai import generativelanguage_v1beta as api
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2  # noqa: F401 - details are unpacked by their type's name

LOOKING = "models.get"
LIMIT_BYTES = 20 * 1024 * 1024
SIGNATURES = {
    "image/png": (0, b"\x89PNG"),
    "image/jpeg": (0, b"\xff\xd8\xff"),
    "image/webp": (8, b"WEBP"),
    "image/heic": (4, b"ftyp"),
    "image/heif": (4, b"ftyp"),
}
ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "A"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 300, "candidatesTokenCount": 1, "totalTokenCount": 301},
    "modelVersion": "gemini-plain-001",
}
MODELS = {
    name: {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": methods,
        "thinking": thinking,
    }
    for name, thinking, methods in (
        ("gemini-plain", False, ["generateContent", "countTokens"]),
        ("gemini-thinking", True, ["generateContent", "countTokens"]),
        ("embedding", False, ["embedContent"]),
    )
}


class InvalidArgumentError(Exception):
    """What the API answers with status 400."""


def parsed(text: bytes, model: str) -> dict[str, Any]:
    """A request's body, by the schema and the documented rules.

    Raises:
        InvalidArgumentError: names what is wrong.
    """
    if len(text) > LIMIT_BYTES:
        raise InvalidArgumentError(f"Request payload size exceeds the limit: {LIMIT_BYTES} bytes.")
    request = api.GenerateContentRequest.pb(api.GenerateContentRequest())
    try:
        json_format.Parse(text, request)
    except json_format.ParseError as error:
        raise InvalidArgumentError(f"Invalid JSON payload received. {error}") from None
    if problem := _problem(request, MODELS[model]):
        raise InvalidArgumentError(problem)
    return json_format.MessageToDict(request)


def _problem(request: Any, model: dict[str, Any]) -> str | None:
    roles = [content.role for content in request.contents]
    if roles != [("user", "model")[i % 2] for i in range(len(roles))] or len(roles) % 2 == 0:
        return f"contents: turns of {roles}"
    for part in (part for content in request.contents for part in content.parts):
        if part.WhichOneof("data") is None or part == type(part)(text=""):
            return "parts: required oneof field 'data' must have one initialized field"
        if part.HasField("inline_data"):
            offset, signature = SIGNATURES.get(part.inline_data.mime_type, (0, b"none"))
            if not part.inline_data.data.startswith(signature, offset):
                return f"Unsupported MIME type or another file: {part.inline_data.mime_type}"
    config = request.generation_config
    if not 0 <= config.temperature <= 2:
        return f"temperature: {config.temperature} is not in [0, 2]"
    if config.HasField("top_p") and not 0 < config.top_p <= 1:
        return f"topP: {config.top_p}"
    if config.HasField("max_output_tokens") and not 0 < config.max_output_tokens <= model["outputTokenLimit"]:
        return f"maxOutputTokens: {config.max_output_tokens}"
    if config.HasField("logprobs") and not (config.response_logprobs and 0 <= config.logprobs <= 20):
        return "logprobs must be in [0, 20], and only with responseLogprobs"
    if config.response_logprobs and model["thinking"]:
        return f"Logprobs is not enabled for {model['name']}"
    if config.HasField("thinking_config") and not model["thinking"]:
        return f"Thinking is not enabled for {model['name']}"
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What one request gets."""

    status: int = 200
    body: dict[str, Any] | None = None
    """Held against the schema."""
    raw: str | None = None
    """Sent as it is instead, as text/html."""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    when: str = ""
    """Only for a request whose last turn holds these words, or that asks for a model (`LOOKING`)."""
    always: bool = False
    """Stays for the requests to come."""
    fault: str = ""
    """"reset" cuts the connection before, "half" amid the body, "silent" says nothing for a long time."""
    seconds: float = 0.0
    """How long the reply takes."""

    def content(self) -> bytes:
        """The body's bytes, once they fit the schema."""
        if self.raw is not None:
            return self.raw.encode()
        body = self.body or {}
        if "error" in body:
            error = dict(body["error"])
            code_pb2.Code.Value(
                error.pop("status")
            )  # over HTTP, the code's name stands beside the HTTP status
            json_format.ParseDict(error, status_pb2.Status())
        elif "supportedGenerationMethods" in body:
            json_format.ParseDict(body, api.Model.pb(api.Model()))
        else:
            json_format.ParseDict(body, api.GenerateContentResponse.pb(api.GenerateContentResponse()))
        return json.dumps(body).encode()


def refusal(code: int, status: str, message: str, reason: str = "") -> Reply:
    """An error reply; a reason goes into its details."""
    details = []
    if reason:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        details.append({"@type": kind, "reason": reason, "domain": "googleapis.com"})
    error = {"code": code, "message": message, "status": status, "details": details}
    return Reply(status=code, body={"error": error})


class Script:
    """The replies to come, and the requests that came. A request gets the first reply that fits it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replies: list[Reply] = []
        self._record: list[dict[str, Any]] = []

    def set(self, replies: list[dict[str, Any]]) -> None:
        """Forget everything and play these."""
        made = [Reply(**each) for each in replies]
        for each in made:
            each.content()
        with self._lock:
            self._replies, self._record = made, []

    def note(self, entry: dict[str, Any]) -> None:
        """Keep a request."""
        with self._lock:
            self._record.append({**entry, "at_seconds": time.monotonic()})

    def record(self) -> list[dict[str, Any]]:
        """The requests, in the order in which they came."""
        with self._lock:
            return list(self._record)

    def next_for(self, words: str) -> Reply | None:
        """The reply to a request whose last turn says `words`."""
        with self._lock:
            for each in self._replies:
                if each.when == words or (each.when in words and words != LOOKING):
                    if not each.always:
                        self._replies.remove(each)
                    return each
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    """Routes as the API does."""

    protocol_version = "HTTP/1.1"
    script: Script
    key: str

    def do_PUT(self) -> None:
        """Take a script."""
        try:
            self.script.set(json.loads(self._read()))
        except Exception as error:
            self._send(Reply(status=500, raw=f"{type(error).__name__}: {error}"))
        else:
            self._send(Reply(raw=""))

    def do_GET(self) -> None:
        """Tell the record or a model."""
        if self.path == "/record":
            self._send(Reply(raw=json.dumps(self.script.record())))
        else:
            self._answer(re.fullmatch(r"/v1beta/models/(?P<model>[^/:?]+)", self.path), b"")

    def do_POST(self) -> None:
        """Generate."""
        content = self._read()
        self._answer(re.fullmatch(r"/v1beta/models/(?P<model>[^/:?]+):generateContent", self.path), content)

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""

    def _answer(self, route: re.Match[str] | None, content: bytes) -> None:
        entry: dict[str, Any] = {
            "method": self.command,
            "path": self.path,
            "bytes": len(content),
            "problem": "",
        }
        entry["content_type"] = self.headers.get("Content-Type", "")
        words, usual = "", Reply(body=ANSWER)
        reply: Reply | None = None
        if route is None:
            reply = refusal(404, "NOT_FOUND", "Requested entity was not found.")
        elif self.headers.get("x-goog-api-key") != self.key:
            message = "API key not valid. Please pass a valid API key."
            reply = refusal(400, "INVALID_ARGUMENT", message, "API_KEY_INVALID")
        elif route["model"] not in MODELS:
            message = f"models/{route['model']} is not found for API version v1beta"
            reply = refusal(404, "NOT_FOUND", message)
        elif self.command == "GET":
            words, usual = LOOKING, Reply(body=MODELS[route["model"]])
        else:
            try:
                entry["body"] = parsed(content, route["model"])
                words = entry["body"]["contents"][-1]["parts"][-1].get("text", "")
            except InvalidArgumentError as error:
                entry["problem"] = str(error)
                reply = refusal(400, "INVALID_ARGUMENT", str(error))
        self.script.note(entry)
        self._send(reply or self.script.next_for(words) or usual)

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, reply: Reply) -> None:
        time.sleep(60 if reply.fault == "silent" else reply.seconds)
        if reply.fault == "reset":
            # With no time to linger, closing resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            raise ConnectionResetError
        content = reply.content()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json" if reply.raw is None else "text/html")
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.fault == "half":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content)


class Server(http.server.ThreadingHTTPServer):
    """Ends with its process, whatever is under way."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is no error here."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve until the standard input ends, with the process that holds its other side at the latest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", required=True)
    Handler.key = parser.parse_args().key
    Handler.script = Script()
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201 - this is how it is found
    sys.stdin.read()


if __name__ == "__main__":
    main()
