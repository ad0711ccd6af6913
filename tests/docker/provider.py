"""Two providers' web APIs, so far as a proxy can be checked before them: OpenAI's and Gemini's.

    python3 provider.py KEY

It runs in a container of its own, on nothing but the standard library. It refuses what the real ones refuse:
a wrong key, another model than `MODEL`, a field that they do not know, an image that is none; and tells of
each. What it answers is a letter, drawn from the request, and takes a moment. That the proxies' requests
are what the published schemas allow is shown in tests/services/, with the libraries that it takes.
"""

import base64
import hashlib
import http.server
import json
import math
import sys
import time

PORT = 8000
MODEL = "drawn-1"
LETTERS = "ABCDEF"
SECONDS = 0.1
COMPLETION = {"model", "messages", "max_completion_tokens", "temperature", "top_p", "seed"}
COMPLETION |= {"logprobs", "top_logprobs"}
GENERATION = {"maxOutputTokens", "temperature", "topP", "seed", "responseLogprobs", "logprobs"}


class RefusedError(Exception):
    """With an HTTP status, and what the provider says."""


def drawn(body):
    """A letter, and the log-probabilities of all: {letter: natural logarithm}, the letter's the highest."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    weights = dict(zip(LETTERS, (1 + byte for byte in digest), strict=False))
    scores = {letter: math.log(weight / sum(weights.values())) for letter, weight in weights.items()}
    return max(scores, key=scores.get), scores


def demand(true, problem):
    """Refuse a request of which something does not hold."""
    if not true:
        raise RefusedError(400, problem)


def check_image(media_type, encoded):
    """Hold an image's first bytes against its type."""
    begins = {"image/png": b"\x89PNG\r\n", "image/jpeg": b"\xff\xd8\xff"}
    demand(media_type in begins, f"images are PNG or JPEG, and not {media_type}")
    content = base64.b64decode(encoded, validate=True)
    demand(content.startswith(begins[media_type]), f"this is no {media_type}")


def chat_completion(body):
    """POST /v1/chat/completions."""
    demand(body.keys() <= COMPLETION, f"unknown fields: {body.keys() - COMPLETION}")
    if body["model"] != MODEL:
        raise RefusedError(404, f"The model {body['model']!r} does not exist")
    demand(body.get("logprobs", False) or "top_logprobs" not in body, "top_logprobs without logprobs")
    for message in body["messages"]:
        demand(message["role"] in ("system", "user", "assistant"), f"a role {message['role']}")
        parts = message["content"]
        for part in [{"type": "text", "text": parts}] if isinstance(parts, str) else parts:
            if part["type"] == "image_url":
                kind, _, encoded = part["image_url"]["url"].partition(";base64,")
                check_image(kind.removeprefix("data:"), encoded)
            else:
                demand(part["type"] == "text" and part["text"], f"no text: {part}")
    letter, scores = drawn(body)
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": letter}}
    if body.get("logprobs"):
        top = [{"token": each, "logprob": score, "bytes": [ord(each)]} for each, score in scores.items()]
        chosen = next(each for each in top if each["token"] == letter)
        choice["logprobs"] = {"content": [chosen | {"top_logprobs": top[: body["top_logprobs"]]}]}
    usage = {"prompt_tokens": 300, "completion_tokens": 1, "total_tokens": 301}
    return {"object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}


def generated(body):
    """POST /v1beta/models/MODEL:generateContent."""
    known = {"systemInstruction", "contents", "generationConfig"}
    demand(body.keys() <= known, f"unknown fields: {body.keys() - known}")
    config = body["generationConfig"]
    demand(config.keys() <= GENERATION, f"unknown fields: {config.keys() - GENERATION}")
    roles = [turn["role"] for turn in body["contents"]]
    turns = [("user", "model")[i % 2] for i in range(len(roles))]
    demand(roles == turns and roles[-1] == "user", f"turns of {roles}")
    for part in (part for turn in body["contents"] for part in turn["parts"]):
        if image := part.get("inlineData"):
            check_image(image["mimeType"], image["data"])
        else:
            demand(part.get("text"), f"no text: {part}")
    letter, scores = drawn(body)
    candidate = {"content": {"role": "model", "parts": [{"text": letter}]}, "finishReason": "STOP"}
    if config.get("responseLogprobs"):
        top = [{"token": each, "logProbability": score} for each, score in scores.items()]
        candidate["logprobsResult"] = {"topCandidates": [{"candidates": top[: config["logprobs"]]}]}
    usage = {"promptTokenCount": 300, "candidatesTokenCount": 1, "totalTokenCount": 301}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL}


MODEL_OF_GEMINI = {
    "name": f"models/{MODEL}",
    "version": "001",
    "inputTokenLimit": 1_048_576,
    "outputTokenLimit": 8_192,
    "supportedGenerationMethods": ["generateContent"],
    "thinking": False,
}
ROUTES = {
    f"GET /v1/models/{MODEL}": lambda _: {"id": MODEL, "object": "model"},
    "POST /v1/chat/completions": chat_completion,
    f"GET /v1beta/models/{MODEL}": lambda _: MODEL_OF_GEMINI,
    f"POST /v1beta/models/{MODEL}:generateContent": generated,
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Both APIs' routes; the paths tell them apart."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer, or say what is wrong."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, body = 200, self._answer(content)
        except (RefusedError, KeyError, TypeError, ValueError) as error:
            status, said = error.args if isinstance(error, RefusedError) else (400, repr(error))
            self.log_error("%s %s: %d %s", self.command, self.path, status, said)
            body = {"error": {"message": said, "code": status}}
        reply = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_POST = do_GET  # noqa: N815 - the base class wants this name

    def _answer(self, content):
        key = self.headers.get("x-goog-api-key") or self.headers.get("Authorization", "")
        if key.removeprefix("Bearer ") != sys.argv[1]:
            raise RefusedError(401, "the key is not valid")
        if (route := ROUTES.get(f"{self.command} {self.path}")) is None:
            raise RefusedError(404, "there is nothing here")
        if self.command == "POST":
            time.sleep(SECONDS)
        return route(json.loads(content) if self.command == "POST" else None)

    def log_request(self, *_):
        """What was in order needs no word."""


class Server(http.server.ThreadingHTTPServer):
    """Callers may hang up."""

    def handle_error(self, request, client_address):
        """Tell of faults of its own only."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    server = Server(("", PORT), Handler)
    sys.stderr.write("listening\n")
    server.serve_forever()
