"""A reply of the protocol, read as the answer to a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmad_answer.model import Answer, FinishReason, OptionScore, Usage
from mmad_answer.remote.counts import token_count
from mmad_answer.remote.faults import Kind, ProviderError
from mmad_answer.remote.scores import option_scores

_BROKEN_OFF: Final = frozenset({"error", "abort", "insufficient_system_resource"})
_CALLS: Final = frozenset({"tool_calls", "function_call"})


def answer(body: Mapping[str, Any], letters: Sequence[str]) -> Answer:
    """The first choice's text, with its thoughts and scores apart.

    Raises:
        ProviderError: PASSING, the server broke off; REQUEST, the model called a tool and said nothing.
        KeyError, TypeError, IndexError, AttributeError: it is no reply of this protocol.
    """
    choice = body["choices"][0]
    message, finish = choice["message"], choice.get("finish_reason")
    if finish in _BROKEN_OFF:
        raise ProviderError(Kind.PASSING, f"the server broke off: {finish}")
    usage = _usage(body.get("usage"))
    text = _text(message.get("content"))
    reasoning = _text(message.get("reasoning_content") or message.get("reasoning"))
    if refusal := message.get("refusal"):
        return Answer(str(refusal), FinishReason.REFUSED, usage=usage, reasoning=reasoning)
    if finish == "content_filter":
        words = f"content_filter{_filtered(choice)}"
        return Answer(text or words, FinishReason.REFUSED, usage=usage, reasoning=reasoning)
    if not text and (finish in _CALLS or message.get("tool_calls")):
        raise ProviderError(Kind.REQUEST, f"the model called a tool and gave no answer{_called(message)}")
    scores: tuple[OptionScore, ...] = ()
    if not (reasoning or usage.reasoning_tokens):  # after thoughts, the first position is no answer's
        scores = option_scores(_listed(choice.get("logprobs")), letters)
    ended = FinishReason.LENGTH if finish == "length" else FinishReason.STOP
    return Answer(text, ended, scores, usage, reasoning)


def _text(content: Any) -> str:
    """A string, or the texts of a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str | None):
        raise TypeError(f"a text is a {type(content).__name__}")
    return content or ""


def _called(message: Mapping[str, Any]) -> str:
    """The names of the tools, which nobody has offered."""
    functions = [message.get("function_call"), *(c.get("function") for c in message.get("tool_calls") or [])]
    names = [str(each["name"]) for each in functions if isinstance(each, Mapping) and "name" in each]
    return f": {', '.join(names)}" if names else ""


def _filtered(choice: Mapping[str, Any]) -> str:
    """What a content filter found, as Azure tells it."""
    found = [
        name
        for name, result in (choice.get("content_filter_results") or {}).items()
        if isinstance(result, Mapping) and result.get("filtered")
    ]
    return f": {', '.join(found)}" if found else ""


def _usage(usage: Any) -> Usage:
    def count(*names: str) -> int:
        value = usage
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return token_count(value)

    return Usage(
        count("prompt_tokens"),
        count("completion_tokens"),
        count("prompt_tokens_details", "cached_tokens"),
        count("completion_tokens_details", "reasoning_tokens"),
    )


def _listed(logprobs: Any) -> list[tuple[str, float | None]]:
    """The first position's tokens. The chosen one may not be among the top, and counts once."""
    positions = (logprobs or {}).get("content") or []
    if not positions:
        return []
    chosen, top = positions[0], positions[0].get("top_logprobs") or []
    # Two tokens may have one text, so the text alone does not tell them apart.
    known = {name: chosen.get(name) for name in ("token", "bytes", "logprob")}
    if not any(all(each.get(name) == value for name, value in known.items()) for each in top):
        top = [*top, chosen]
    return [(each["token"], each["logprob"]) for each in top]
