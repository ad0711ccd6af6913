"""Which option to change where a server refuses what the options put into every request.

OpenAI names the field in `param`. Others have only words, in which a field must be named as one: "seed" may
as well be what an image shows.
"""

from __future__ import annotations

import re
from typing import Final

from openai_proxy.options import OMITTABLE, TOKEN_LIMIT_FIELDS, OpenAiOptions

_SAYS_NO_SYSTEM: Final = re.compile(r"system role (is )?not supported|roles must alternate", re.IGNORECASE)
"""What chat templates say that know no system, through the engine that has them."""
_TAKES_IMAGES: Final = re.compile(r"at most ([1-9]\d*) image", re.IGNORECASE)
"""vLLM's."""
_NOT_TAKEN: Final = re.compile(
    r"unsupported|not support|unrecognized|unexpected|unknown|not permitted|extra inputs|not allowed"
    r"|invalid|must be|greater than",
    re.IGNORECASE,
)


def remedy(message: str, param: str, options: OpenAiOptions) -> str:
    """What to change, if the error is about a field that an option puts into every request; else nothing."""
    changes = _changes(options)
    for field, change in changes.items():
        if param == field or param.endswith(f".{field}"):
            return change
    if "role" in changes and _SAYS_NO_SYSTEM.search(message):
        return changes["role"]
    if (most := _TAKES_IMAGES.search(message)) and int(most[1]) < options.max_images:
        return f"--max-images {most[1]}"
    if not _NOT_TAKEN.search(message):
        return ""
    return next((change for field, change in changes.items() if _is_named(field, message)), "")


def _changes(options: OpenAiOptions) -> dict[str, str]:
    """By field, what to set otherwise. What is left out already cannot have been refused."""
    changes = {"model": "another --model"}
    for field in OMITTABLE:
        if field not in options.omitted:
            changes[field] = f"--omit {','.join(sorted({*options.omitted, field}))}"
    if "logprobs" in changes:
        changes["logprobs"] += ", or a smaller --top-logprobs" if options.top_logprobs > 1 else ""
        changes["top_logprobs"] = changes["logprobs"]
    limit = options.token_limit_field
    other = next(each for each in TOKEN_LIMIT_FIELDS if each != limit)
    changes[limit] = f"--token-limit-field {other}, or let answers have fewer tokens"
    if options.reasoning_effort is not None:
        changes["reasoning_effort"] = "another --reasoning-effort, or none"
    if options.system_role != "user":
        changes["role"] = changes[options.system_role] = "--system-role user"
    return changes


def _is_named(field: str, message: str) -> bool:
    """Whether a field is named as such: in quotes, at the end of a path or of the message, as invalid."""
    quoted = rf"['\"`]{field}['\"`]"
    said = re.sub(rf"[{{,]\s*{quoted}\s*:", "", message)  # the keys of a body that the server repeats
    return bool(
        re.search(rf"{quoted}|\.{field}:|\b(invalid|sample) {field}\b|: {field}\W*$", said, re.IGNORECASE)
    )
