"""What a model's author writes: one subclass of `Model`, and nothing about gRPC.

A service's folder holds `service.py` with exactly one subclass of `Model`. The kit does the rest: the
server, admission, image checks, batching, deadlines, cancellation, draining.

The nouns here are the contract's (`protos/mmad/answer/v1/answer.proto`), as plain Python.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    import PIL.Image


class ImageRole(enum.Enum):
    """What an image is for."""

    QUERY = "query"
    NORMAL_TEMPLATE = "normal_template"
    DEFECT_EXAMPLE = "defect_example"
    EXPERT_HINT = "expert_hint"


class ChainOfThought(enum.Enum):
    """Whether the model thinks before it answers, and how often."""

    NONE = "none"
    PER_QUESTION = "per_question"
    PER_INSPECTION = "per_inspection"


class FinishReason(enum.Enum):
    """Why the text ends."""

    STOP = "stop"
    LENGTH = "length"
    REFUSED = "refused"


class FailureReason(enum.Enum):
    """Why one question has no answer."""

    CONTEXT_TOO_LONG = "context_too_long"
    PROVIDER = "provider"
    OUT_OF_MEMORY = "out_of_memory"
    INTERNAL = "internal"


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One choice: a capital letter and its text."""

    letter: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question; `question_id` is opaque and unique within its inspection."""

    question_id: str
    text: str
    options: tuple[Option, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A question that was answered earlier, with the model's own text."""

    question: Question
    answer: str


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image of an inspection, already checked and decoded.

    `content` is the encoded file as it was sent; `sha256` is its digest (hex), a key for caches;
    `pixels` is the same picture decoded to RGB, upright. Never change `pixels` in place: inspections
    that share a template may share it.
    """

    role: ImageRole
    content: bytes
    media_type: str
    caption: str
    sha256: str
    pixels: PIL.Image.Image


@dataclasses.dataclass(frozen=True, slots=True)
class Generation:
    """How to generate. None means: the model's own default; the default temperature is greedy."""

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    option_scores: bool = False
    max_reasoning_tokens: int | None = None
    return_prompt: bool = False
    anomaly_map: bool = False


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """One query image with its companions, and all the questions about it."""

    inspection_id: str
    images: tuple[Image, ...]
    questions: tuple[Question, ...]
    domain_knowledge: str = ""
    instruction: str = ""
    """Replaces the model's own instruction when it is not empty."""
    conversation_history: bool = False
    chain_of_thought: ChainOfThought = ChainOfThought.NONE
    generation: Generation = dataclasses.field(default_factory=Generation)
    history: tuple[Turn, ...] = ()
    analysis: str = ""
    stopped: threading.Event = dataclasses.field(default_factory=threading.Event, repr=False)
    """Set when nobody waits for answers any more: cancelled, past its deadline, or all answered. A model
    looks at it before it begins with an inspection, and within one that takes long; the kit looks at it
    between replies."""


@dataclasses.dataclass(frozen=True, slots=True)
class OptionScore:
    """log P(letter) at the answer's first position, natural, not normalised; None where it is unknown."""

    letter: str
    log_probability: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0
    reasoning_tokens: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRecord:
    """What became of an image: its size in pixels as the model saw it, and its tokens."""

    width: int
    height: int
    tokens: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to one question, whole; nobody reads a letter on this side."""

    text: str
    finish_reason: FinishReason = FinishReason.STOP
    option_scores: tuple[OptionScore, ...] = ()
    usage: Usage = Usage()
    reasoning: str = ""
    prompt: str = ""
    images: tuple[ImageRecord, ...] = ()
    encode_seconds: float = 0.0
    """Spent on the images, without their decoding: with the answer that first needed it, and 0 in those that
    share it, so that sums count it once."""
    generate_seconds: float = 0.0
    """Spent on this answer alone; of what was generated for several together, an equal part."""
    anomaly_map: bytes = b""
    """In an inspection's first answer, where `Generation.anomaly_map` is set: a PNG as the contract says."""

    @property
    def is_turn(self) -> bool:
        """Whether a conversation goes on with it: the words of a refusal are not always the model's own."""
        return bool(self.text) and self.finish_reason is not FinishReason.REFUSED


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why one question has no answer, finally, while the rest of its inspection goes on."""

    reason: FailureReason
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of one question of one inspection of the batch."""

    inspection: Inspection
    question_id: str
    outcome: Answer | Failure


@dataclasses.dataclass(frozen=True, slots=True)
class Capabilities:
    """What may be asked of a model; anything else is refused before it reaches the model."""

    option_scores: bool = False
    conversation_history: bool = False
    chain_of_thought: bool = False
    deterministic: bool = False
    text_only: bool = False
    anomaly_map: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """Who a model is and what it takes. See GetModelResponse in the contract for each field's meaning."""

    name: str
    family: str
    checkpoint: str = ""
    revision: str = ""
    quantization: str = "none"
    device: str = "cpu"
    max_images: int = 64
    max_image_pixels: int = 0
    capabilities: Capabilities = Capabilities()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prompt_sha256: str = ""
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


class LoadError(Exception):
    """The model cannot be loaded. Its message is one line for the person at the terminal."""


class WholeCallError(Exception):
    """The model answers nothing: whole calls end with a status, and no question is failed for it."""


class PassingFaultError(WholeCallError):
    """The model cannot answer now, and may soon: its provider is out of order or limits the rate.

    With `retry_seconds` callers wait that long (at most a day); without, they try another replica, and this
    one later.
    """

    def __init__(self, message: str, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        # A provider may say anything, "inf" and "nan" included.
        self.retry_seconds = None if retry_seconds is None else min(max(0.0, retry_seconds), 86_400.0)


class BudgetSpentError(WholeCallError):
    """The money or the quota for this model is used up: callers stop asking it."""


class UnusableError(WholeCallError):
    """The service is set up wrongly: its provider does not accept the key, or has no such model.

    Callers stop asking it. What `load` can find out is a `LoadError` instead.
    """


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """The options of a model that has none."""


OptionsT = TypeVar("OptionsT")


class Model(abc.ABC, Generic[OptionsT]):
    """Four methods: say who you are, load, answer a batch, close.

    `describe` may be called at any time, from any thread, and is quick. `load`, `answer` and `close` run
    off the event loop, in threads of the kit's; `answer` runs in at most `workers` threads at once (one,
    unless the class says otherwise).
    """

    Options: ClassVar[type[Any]] = NoOptions
    """A frozen dataclass. Each field becomes an option of `mmad-answer serve` and an environment variable."""

    workers: ClassVar[int] = 1
    """How many batches this model can work on at once. Models on a GPU: one; remote ones: many."""

    batch_size: ClassVar[int] = 1
    """How many inspections one call of `answer` takes at most, unless the command line says otherwise."""

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    @abc.abstractmethod
    def describe(self) -> Card:
        """Say who this model is. Until `load` has returned, what only the weights tell may be empty."""

    def load(self) -> None:
        """Make ready to answer.

        Raises:
            LoadError: with one line for the person at the terminal; the process then exits.
        """

    @abc.abstractmethod
    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """Answer every question of every inspection of the batch.

        Yields each reply as soon as it is known, in any order (with `conversation_history`, in the order of
        the questions). A question left out becomes a Failure; replies for an inspection whose `stopped` is
        set are dropped.

        A batch that has begun is not taken apart: an inspection that is cancelled then stays in it, and the
        kit closes the iterator, between two replies, once all inspections with unanswered questions are
        stopped.
        So look at `inspection.stopped` before each inspection, and within one that takes long.

        Any exception but those below is a fault of this batch. If it holds several inspections, those with
        unanswered questions come again, each in a batch of its own: with these questions only and, with
        `conversation_history`, the turns answered by then. An exception on a single inspection becomes a
        Failure of its unanswered questions.

        Raises:
            WholeCallError: PassingFaultError, BudgetSpentError or UnusableError; the model cannot answer at
                all for now. The calls of the batch's inspections that still have unanswered questions end
                with that status, replies already given stay, and callers do as the error says.
        """

    def close(self) -> None:
        """Free what `load` took. Called once, after the last `answer` has returned."""
