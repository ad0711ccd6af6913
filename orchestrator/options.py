"""The settings of a run, read once, at the edge, from the command line and `--config`, into one typed object.

`Protocol` is what decides which questions are asked and how: it belongs to the run's identity, so a run
cannot be continued under another. The rest of `RunOptions` says where things are and how hard to work, and
may change from one session to the next.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Self

import pydantic
from pydantic import Field
from pydantic_core import ErrorDetails

from orchestrator.errors import UserError, near_matches
from orchestrator.vocabulary import QuestionType


class Templates(enum.StrEnum):
    """Which of the data set's two lists of normal images the templates come from."""

    RANDOM = "random"
    SIMILAR = "similar"


class ChainOfThought(enum.StrEnum):
    """Think before each answer, or once per inspection."""

    QUESTION = "question"
    INSPECTION = "inspection"


class OptionOrder(enum.StrEnum):
    """How options are shown: as in the data set, shuffled (seeded per question), or in every rotation."""

    ORIGINAL = "original"
    SHUFFLED = "shuffled"
    CIRCULAR = "circular"


class AnswerBy(enum.StrEnum):
    """What counts as the answer: the letter read from the text, or the option with the best score."""

    TEXT = "text"
    SCORES = "scores"


class _Settings(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Protocol(_Settings):
    """Which questions are asked, and how. Part of the run's identity."""

    shots: Annotated[int, Field(ge=0, le=64)] = 1
    """Normal templates shown before the query image."""
    templates: Templates = Templates.RANDOM
    domain_knowledge: bool = False
    history: bool = False
    cot: ChainOfThought | None = None
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    text_only: bool = False
    defect_examples: Annotated[int, Field(ge=0, le=64)] = 0
    options: OptionOrder = OptionOrder.ORIGINAL
    instruction: str = ""
    """Replaces each service's own instruction; `--instruction-from` reads it."""
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    type: tuple[QuestionType, ...] = ()
    limit: Annotated[int | None, Field(ge=1)] = None
    """Images, not questions."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    option_scores: bool = False
    answer_by: AnswerBy = AnswerBy.TEXT
    max_new_tokens: Annotated[int | None, Field(ge=1, lt=2**32)] = None
    max_reasoning_tokens: Annotated[int | None, Field(ge=1, lt=2**32)] = None
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0

    @pydantic.model_validator(mode="after")
    def _combinations(self) -> Self:
        if self.history and self.options is OptionOrder.CIRCULAR:
            raise ValueError(
                "--history and --options circular exclude each other: a rotation of a question would see the "
                "answer to another rotation of it. Leave one of them out."
            )
        if self.cot and (self.option_scores or self.answer_by is AnswerBy.SCORES):
            raise ValueError(
                "--cot and option scores exclude each other: scores are of the answer's first position, "
                "where a thinking model has not begun to answer. Leave one of them out."
            )
        if self.text_only and self.defect_examples:
            raise ValueError(
                "--text-only shows no image, so --defect-examples cannot. Leave one of them out."
            )
        return self

    @property
    def wants_scores(self) -> bool:
        """Whether services are asked for option scores."""
        return self.option_scores or self.answer_by is AnswerBy.SCORES


class RunOptions(Protocol):
    """All settings of `orchestrator run`, named as its options are."""

    data: str = "sample"
    """An MMAD folder, or "sample"."""
    local: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    """NAME=TARGET, each."""
    endpoints: Path | None = None
    model: tuple[str, ...] = ()
    """Names to keep of all that the endpoints give; all when empty."""
    instruction_from: Path | None = None
    keep_prompts: bool = False
    concurrency: Annotated[int | None, Field(ge=1, le=1024)] = None
    """At most so many inspections under way per replica; None: as the model card says."""
    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds for one attempt at one inspection."""
    patience: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a model may be out of reach before the run goes on without it."""
    out: Path | None = None
    retry_failed: bool = False
    dry_run: bool = False
    json_output: Annotated[bool, Field(alias="json")] = False

    model_config = pydantic.ConfigDict(populate_by_name=True)

    def protocol(self) -> Protocol:
        """The part that belongs to the run's identity."""
        return Protocol.model_validate({name: getattr(self, name) for name in Protocol.model_fields})


def parse(values: dict[str, object], where: str) -> RunOptions:
    """Check settings, given by their names.

    Raises:
        UserError: naming the setting, what was given and what is allowed, and `where` it stands.
    """
    try:
        return RunOptions.model_validate(values)
    except pydantic.ValidationError as error:
        raise UserError("\n".join(_explain(e, where) for e in error.errors())) from None


def _explain(error: ErrorDetails, where: str) -> str:
    location = error["loc"]
    message = error["msg"].removeprefix("Value error, ")
    if not location:
        return message
    name = str(location[0]).replace("_", "-")
    if error["type"] == "extra_forbidden":
        known = [f.replace("_", "-") for f in RunOptions.model_fields if f != "json_output"] + ["json"]
        return f"{where}: there is no setting {name!r}.{near_matches(name, known)}"
    return f"{where}: {name}: {message} (given: {error['input']!r})"
