"""The settings of a run, read once, at the edge, from the command line and `--config`, into one typed object.

`Protocol` is what decides which questions are asked and how: it belongs to the run's identity, so a run
cannot be continued under another. The rest of `RunOptions` says where things are and how hard to work, and
may change from one session to the next. A field with a panel is an option of `orchestrator run`.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

import pydantic
from pydantic import Field
from pydantic_core import ErrorDetails

from orchestrator.errors import UserError, near_matches
from orchestrator.shards import parse_shard
from orchestrator.vocabulary import QuestionType, Shard


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


GROUND_TRUTH: Final = "ground-truth"
"""For `--hints`: the data set's own masks."""


class HintStyle(enum.StrEnum):
    """How an expert hint is drawn."""

    BOX = "box"
    CONTOUR = "contour"
    HIGHLIGHT = "highlight"
    MASK = "mask"
    HEATMAP = "heatmap"


def _option(panel: str, metavar: str | None = None, **limits: Any) -> Any:
    return Field(json_schema_extra={"panel": panel, "metavar": metavar}, **limits)


_WHO = "Who is asked"
_WHAT = "What is asked"
_HOW = "How it is asked"
_EFFORT = "Where and how hard"


class _Settings(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True
    )


class Protocol(_Settings):
    """Which questions are asked, and how. Part of the run's identity."""

    only: Annotated[tuple[str, ...], _option(_WHAT, "DATASET[/PRODUCT]")] = ()
    """Ask only about these. May be repeated."""
    exclude: Annotated[tuple[str, ...], _option(_WHAT, "DATASET[/PRODUCT]")] = ()
    """Leave these out. May be repeated."""
    type: Annotated[tuple[QuestionType, ...], _option(_WHAT, "TYPE")] = ()
    """Ask only questions of these types ("Anomaly Detection", ...). May be repeated."""
    limit: Annotated[int | None, _option(_WHAT, "N", ge=1)] = None
    """Ask about N images: a seeded sample, spread over data set, product, normal and abnormal (MMAD's own
    debugging size: 1600)."""
    seed: Annotated[int, _option(_WHAT, "S", ge=0, lt=2**63)] = 0
    """Of every random choice: the limit's sample, shuffles, defect examples, the models' sampling."""
    repeats: Annotated[int, _option(_WHAT, "N", ge=1, le=1000)] = 1
    """Ask everything N times with other seeds, and report the spread."""

    shots: Annotated[int, _option(_HOW, "K", ge=0, le=64)] = 1
    """Normal templates shown before the query image."""
    templates: Annotated[Templates, _option(_HOW)] = Templates.RANDOM
    """Which of the data set's two lists of templates."""
    defect_examples: Annotated[int, _option(_HOW, "K", ge=0, le=64)] = 0
    """Show K other defective images of the product, whatever the query's own label."""
    domain_knowledge: Annotated[bool, _option(_HOW)] = False
    """Tell all that the data set knows about the product's defects."""
    text_only: Annotated[bool, _option(_HOW)] = False
    """Show no image at all: what the words alone give away."""
    history: Annotated[bool, _option(_HOW)] = False
    """Keep an image's earlier questions and answers in the conversation."""
    cot: Annotated[ChainOfThought | None, _option(_HOW)] = None
    """Let the model think first: before each answer, or once per inspection."""
    options: Annotated[OptionOrder, _option(_HOW)] = OptionOrder.ORIGINAL
    """The options as they are, shuffled, or each question in every rotation (right only if always right)."""
    answer_by: Annotated[AnswerBy, _option(_HOW)] = AnswerBy.TEXT
    """What counts: the letter in the text, or the option with the best score."""
    option_scores: Annotated[bool, _option(_HOW)] = False
    """Also collect each option's probability: ROC, calibration."""
    temperature: Annotated[float, _option(_HOW, "T", ge=0, le=10)] = 0.0
    """0 is greedy."""
    max_new_tokens: Annotated[int | None, _option(_HOW, "N", ge=1, lt=2**32)] = None
    """Of one answer; otherwise as the model has it."""
    max_reasoning_tokens: Annotated[int | None, _option(_HOW, "N", ge=1, lt=2**32)] = None
    """For models that think first; otherwise as the model has it."""
    # Set in a settings file, or read by --instruction-from. Replaces each service's own instruction.
    instruction: str = ""

    @pydantic.field_validator("only", "exclude", mode="before")
    @classmethod
    def _one_is_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @pydantic.field_validator("type", mode="before")
    @classmethod
    def _known_types(cls, value: Any) -> Any:
        known = {t.lower(): t for t in QuestionType}
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected a list of question types (given: {value!r})")
        for name in value:
            if str(name).lower() not in known:
                near = near_matches(str(name), QuestionType) or f" There are: {', '.join(QuestionType)}."
                raise ValueError(f"there is no question type {str(name)!r}.{near}")
        return tuple(known[str(name).lower()] for name in value)

    @pydantic.model_validator(mode="after")
    def _combinations(self) -> Self:
        if self.history and self.options is OptionOrder.CIRCULAR:
            raise ValueError(
                "--history and --options circular exclude each other: a rotation of a question would see the "
                "answer to another rotation of it. Leave one of them out."
            )
        if self.cot and self.wants_scores:
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

    data: Annotated[str, _option(_WHAT, "DIR|sample")] = "sample"
    """An MMAD folder, or the sample data set, which is drawn when it is first needed."""
    shard: Annotated[Shard | None, _option(_WHAT, "I/N")] = None
    """Ask about one of N equal parts of the images, I from 0 to N-1; `orchestrator merge` joins the parts."""
    hints: Annotated[str | None, _option(_HOW, "ground-truth|DIR")] = None
    """Show the query once more, with an anomaly detector's map from DIR drawn on it (DIR has them in the data
    set's tree, as PNG, TIFF or NPY), or with its true defects: an oracle."""
    hint_style: Annotated[HintStyle | None, _option(_HOW)] = None
    """How hints are drawn (default: heatmap)."""
    hint_threshold: Annotated[float | None, _option(_HOW, "X", allow_inf_nan=False)] = None
    """From where box, contour, highlight and mask mark a place, in the maps' own range (default: between
    what flawless and what strongly defective images reach, by all maps of the product)."""
    instruction_from: Annotated[Path | None, _option(_HOW, "PATH")] = None
    """The instruction that replaces the services' own: a text file, or a Python file's constant named
    `instruction` (read, never executed)."""
    keep_prompts: Annotated[bool, _option(_HOW)] = False
    """Also keep each prompt as the model got it."""

    local: Annotated[tuple[str, ...], _option(_WHO, "[NAME=]SERVICE [OPTIONS]")] = ()
    """Start the service in services/SERVICE for this run, with its own options ('qwen_vl --checkpoint DIR'),
    and end it afterwards. May be repeated; one service under several names, too."""
    endpoint: Annotated[tuple[str, ...], _option(_WHO, "NAME=TARGET")] = ()
    """A model's address: host:port, unix:///path or dns:///name:port. The same NAME again: a replica."""
    endpoints: Annotated[Path | None, _option(_WHO, "FILE")] = None
    """A YAML file of addresses."""
    discover: Annotated[str | None, _option(_WHO, "docker[:PROJECT]|HOST:PORT")] = None
    """Find running models: by the Docker engine's labels (of one Compose project), or behind a name that
    resolves to all of them (default, if none of the above is given: MMAD_DISCOVER, else docker)."""
    model: Annotated[tuple[str, ...], _option(_WHO, "NAME")] = ()
    """Of all these, ask only the models of these names. May be repeated."""
    wait: Annotated[float, _option(_WHO, "SECONDS", ge=0)] = 120.0
    """How long to wait for models that are still starting."""

    out: Annotated[Path | None, _option(_EFFORT, "DIR")] = None
    """The run's folder (default: runs/DATE-DATA-FINGERPRINT, or the unfinished run of the same kind)."""
    retry_failed: Annotated[bool, _option(_EFFORT)] = False
    """Ask again what failed in an earlier session."""
    concurrency: Annotated[int | None, _option(_EFFORT, "N", ge=1, le=1024)] = None
    """At most N inspections under way at each replica, below what the model states."""
    timeout: Annotated[float, _option(_EFFORT, "SECONDS", gt=0)] = 600.0
    """For one attempt at one inspection."""
    patience: Annotated[float, _option(_EFFORT, "SECONDS", gt=0)] = 60.0
    """How long a model may be out of reach before the run goes on without it."""
    dry_run: Annotated[bool, _option(_EFFORT)] = False
    """Say what would be asked, and ask nothing."""
    json_output: Annotated[bool, _option(_EFFORT), Field(alias="json")] = False
    """Print summary.json instead of the table."""

    @pydantic.field_validator("shard", mode="before")
    @classmethod
    def _known_shard(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, Shard) else parse_shard(str(value))

    @pydantic.field_serializer("shard")
    def _shard_as_given(self, value: Shard | None) -> str | None:
        return str(value) if value else None

    @pydantic.field_validator("local", "endpoint", "model", mode="before")
    @classmethod
    def _one_name_is_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @pydantic.field_validator(
        "data", "hints", "instruction_from", "endpoints", "discover", "out", mode="before"
    )
    @classmethod
    def _not_empty(cls, value: object, info: pydantic.ValidationInfo) -> object:
        # No hints, or the current folder as a run's, would be taken for what was meant.
        if value == "":
            extra: Any = cls.model_fields[str(info.field_name)].json_schema_extra
            raise ValueError(
                f"is empty (a shell variable that is not set?). Give {extra['metavar']}, or leave it out."
            )
        return value

    @pydantic.model_validator(mode="after")
    def _hint_combinations(self) -> Self:
        if self.hints and self.text_only:
            raise ValueError("--text-only shows no image, so --hints cannot. Leave one of them out.")
        if not self.hints and (self.hint_style or self.hint_threshold is not None):
            raise ValueError(
                "--hint-style and --hint-threshold say how hints are drawn, and there are none. Add --hints."
            )
        if self.hint_threshold is not None:
            if self.hints == GROUND_TRUTH:
                raise ValueError("--hint-threshold is for a detector's maps: the ground truth has none.")
            if self.hint_style in (None, HintStyle.HEATMAP):
                raise ValueError(
                    "--hint-threshold has no place in a heat map. Leave it out, or give another --hint-style."
                )
        return self

    def protocol(self) -> Protocol:
        """The part that belongs to the run's identity."""
        return Protocol.model_validate({name: getattr(self, name) for name in Protocol.model_fields})


MAP_SETTINGS: Final = (
    *("data", "only", "exclude", "type", "limit", "seed", "shots", "templates"),
    *("local", "endpoint", "endpoints", "discover", "wait", "concurrency", "timeout", "patience"),
)
"""The settings that `orchestrator hints` takes, too."""


def parse(values: Mapping[str, Any], file: Path | None = None, in_file: Collection[str] = ()) -> RunOptions:
    """Check settings, given by their names.

    Args:
        values: of the settings.
        file: a settings file that some of them come from.
        in_file: which those are.

    Raises:
        UserError: naming each wrong setting, where it stands, what was given, and what is allowed.
    """
    try:
        return RunOptions.model_validate(values)
    except pydantic.ValidationError as error:
        messages = []
        for e in error.errors():
            stands_in_file = bool(e["loc"]) and str(e["loc"][0]) in in_file
            messages.append((f"{file}: " if stands_in_file else "") + _explain(e))
        raise UserError("\n".join(messages)) from None


def _explain(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0]).replace("_", "-").removesuffix("-output")
    if error["type"] == "extra_forbidden":
        known = [(field.alias or name).replace("_", "-") for name, field in RunOptions.model_fields.items()]
        return f"there is no setting {name!r}.{near_matches(name, known)}"
    if error["type"] == "value_error":
        return f"--{name}: {message}"
    return f"--{name}: {message} (given: {error['input']!r})"
