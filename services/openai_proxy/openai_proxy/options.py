"""The options of the service: those of all remote ones, and what differs among servers of this protocol."""

from __future__ import annotations

import dataclasses
import urllib.parse
from typing import Final, Literal, TypeAlias, get_args

from mmad_answer.remote.options import RemoteOptions

_OPENAI: Final = "https://api.openai.com/v1"
OMITTABLE: Final = ("temperature", "top_p", "seed", "logprobs", "detail")
"""Fields that some models or servers refuse."""
TokenLimitField: TypeAlias = Literal["max_completion_tokens", "max_tokens"]
TOKEN_LIMIT_FIELDS: Final[tuple[TokenLimitField, ...]] = get_args(TokenLimitField)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenAiOptions(RemoteOptions):
    """How a server of OpenAI's protocol is asked."""

    base_url: str = _OPENAI
    """The server's address, up to and with /v1."""
    model: str
    """The server's id of the model: gpt-4o-2024-08-06."""
    detail: Literal["auto", "low", "high"] = "auto"
    """How finely OpenAI's models look at the images; MMAD's own runs said low."""
    omit: str = ""
    """Fields to leave out, as the model or the server refuses them: any of temperature, top_p, seed, logprobs
    and detail, with commas between."""
    token_limit_field: TokenLimitField = "max_completion_tokens"  # noqa: S105
    """The field that bounds a reply; older servers know max_tokens only."""
    system_role: Literal["system", "developer", "user"] = "system"
    """Who says the instruction; user, for models that know no system, puts it before the images."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    """For models that think first and let it be chosen (default: the model's own)."""
    top_logprobs: int = 20
    """Tokens that are listed for option scores; servers have limits of their own."""

    def __post_init__(self) -> None:
        """Refuse what can mean nothing.

        Raises:
            ValueError: as for all remote services, and for a field that cannot be left out.
        """
        super().__post_init__()
        if unknown := [field for field in self.omitted if field not in OMITTABLE]:
            raise ValueError(f"--omit {', '.join(unknown)}: only {', '.join(OMITTABLE)} can be left out")
        if not 1 <= self.top_logprobs <= 100:
            raise ValueError("--top-logprobs must be from 1 to 100")

    @property
    def omitted(self) -> tuple[str, ...]:
        """The fields that are left out, in order."""
        return tuple(sorted({field.strip() for field in self.omit.split(",")} - {""}))

    @property
    def at_openai(self) -> bool:
        """Whether it is OpenAI's own server, which answers nobody without a key."""
        return urllib.parse.urlsplit(self.base_url).hostname == urllib.parse.urlsplit(_OPENAI).hostname
