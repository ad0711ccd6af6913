"""What is read of the API's messages (`google.ai.generativelanguage.v1beta`), by the rules of protobuf.

A field that is missing or null has its default value; fields and enum values that are not known here may
come with any release of the API and are no fault.
"""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias

import pydantic
from pydantic.alias_generators import to_camel

from mmad_answer.remote.counts import token_count

TokenCount: TypeAlias = Annotated[int, pydantic.BeforeValidator(token_count)]


class _Message(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel, frozen=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def read(cls, body: Any) -> Self:
        """The message in a JSON value.

        Raises:
            ValueError: it is none; in words for people, which pydantic's are not.
        """
        try:
            return cls.model_validate(body)
        except pydantic.ValidationError as error:
            place = ".".join(str(each) for each in error.errors()[0]["loc"])
            raise ValueError(f"{place or 'the body'} has another form than in Gemini's API") from None


class FunctionCall(_Message):
    """What a model does instead of saying something, though nobody has offered it a function."""

    name: str = ""


class Part(_Message):
    """A piece of what the model said; `thought` marks what it said to itself."""

    text: str = ""
    thought: bool = False
    function_call: FunctionCall | None = None


class Content(_Message):
    """What the model said."""

    parts: tuple[Part, ...] = ()


class SafetyRating(_Message):
    """One category of harm, as the provider rates it."""

    category: str = ""
    probability: str = ""
    blocked: bool = False


class ScoredToken(_Message):
    """A token at one position, with its natural log probability."""

    token: str = ""
    log_probability: float | None = None


class TopCandidates(_Message):
    """The most probable tokens at one position, at most twenty."""

    candidates: tuple[ScoredToken, ...] = ()


class LogprobsResult(_Message):
    """Log probabilities, position by position."""

    top_candidates: tuple[TopCandidates, ...] = ()


class Candidate(_Message):
    """One answer."""

    content: Content = Content()
    finish_reason: str = ""
    finish_message: str = ""
    safety_ratings: tuple[SafetyRating, ...] = ()
    logprobs_result: LogprobsResult = LogprobsResult()


class PromptFeedback(_Message):
    """Why a prompt was not answered at all."""

    block_reason: str = ""
    safety_ratings: tuple[SafetyRating, ...] = ()


class UsageMetadata(_Message):
    """Token counts. The candidates' do not include the thoughts'."""

    prompt_token_count: TokenCount = 0
    cached_content_token_count: TokenCount = 0
    candidates_token_count: TokenCount = 0
    thoughts_token_count: TokenCount = 0


class GenerateContentResponse(_Message):
    """The reply to `generateContent`."""

    candidates: tuple[Candidate, ...] = ()
    prompt_feedback: PromptFeedback = PromptFeedback()
    usage_metadata: UsageMetadata = UsageMetadata()


class ModelInformation(_Message):
    """The reply to `models.get`: what a model is and can take."""

    name: str = ""
    version: str = ""
    input_token_limit: int = 0
    output_token_limit: int = 0
    thinking: bool = False
    supported_generation_methods: tuple[str, ...] = ()


class Status(_Message):
    """A `google.rpc.Status`, as every error of the API holds one."""

    code: int = 0
    message: str = ""
    status: str = ""
    details: tuple[Any, ...] = ()


class ErrorReply(_Message):
    """The body of every error."""

    error: Status
