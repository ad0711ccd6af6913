"""Every noun of the project, in one place: frozen dataclasses without behaviour.

If a noun is not here, the code does not invent one. Paths inside a data set are POSIX strings relative to
its root, as in MMAD's own files, until an image is read.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Final

# ------------------------------------------------------------------------------------------ the data set


class QuestionType(enum.StrEnum):
    """A question's type, spelled as in mmad.json."""

    ANOMALY_DETECTION = "Anomaly Detection"
    DEFECT_CLASSIFICATION = "Defect Classification"
    DEFECT_LOCALIZATION = "Defect Localization"
    DEFECT_DESCRIPTION = "Defect Description"
    DEFECT_ANALYSIS = "Defect Analysis"
    OBJECT_CLASSIFICATION = "Object Classification"
    OBJECT_ANALYSIS = "Object Analysis"
    OBJECT_STRUCTURE = "Object Structure"
    OBJECT_DETAILS = "Object Details"


class Subtask(enum.StrEnum):
    """One of the seven columns that MMAD scores, in its order."""

    ANOMALY_DETECTION = "Anomaly Detection"
    DEFECT_CLASSIFICATION = "Defect Classification"
    DEFECT_LOCALIZATION = "Defect Localization"
    DEFECT_DESCRIPTION = "Defect Description"
    DEFECT_ANALYSIS = "Defect Analysis"
    OBJECT_CLASSIFICATION = "Object Classification"
    OBJECT_ANALYSIS = "Object Analysis"


SUBTASK_OF: Final[Mapping[QuestionType, Subtask]] = {
    **{QuestionType(subtask.value): subtask for subtask in Subtask},
    QuestionType.OBJECT_STRUCTURE: Subtask.OBJECT_ANALYSIS,
    QuestionType.OBJECT_DETAILS: Subtask.OBJECT_ANALYSIS,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One choice: a capital letter and its text."""

    letter: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A question as it stands in the data set. `type` is None where the data set does not say (hub CSV)."""

    index: int
    text: str
    type: QuestionType | None
    options: tuple[Option, ...]
    answer: str
    """The right option's letter."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One query image and all that the data set says about it. `key` is the image's path, and its name."""

    key: str
    dataset: str
    product: str
    defect_kind: str
    """The folder between product and file: "good" or "broken_large"."""
    abnormal: bool
    questions: tuple[Question, ...]
    mask: str
    """As the data set writes it; "" for normal images. `dataset.masks.resolve` finds the files."""
    random_templates: tuple[str, ...]
    similar_templates: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Dataset:
    """A data set on disk, read whole; images stay on disk until their turn comes."""

    root: str
    samples: tuple[Sample, ...]
    """In the file's order; keys are unique."""
    domain_knowledge: Mapping[tuple[str, str], Mapping[str, str]]
    """(data set, product) -> defect kind -> text. The data set's own spelling ("DS-MVTec")."""
    digest: str
    """sha256 (hex) of the annotation files' bytes: what "the same data" means to a run."""
    source: str
    """"mmad.json" or "metadata.csv"."""
    limitations: tuple[str, ...] = ()
    """What cannot be asked or scored with this copy, for people: "no question types: ..."."""


# ------------------------------------------------------------------------------------------ what is asked


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """One of the parts that a run's images are dealt into."""

    index: int
    """From 0 to `count` - 1, as a Kubernetes Indexed Job counts."""
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


class ImageRole(enum.StrEnum):
    """What an image is for, as in the contract."""

    QUERY = "query"
    NORMAL_TEMPLATE = "normal_template"
    DEFECT_EXAMPLE = "defect_example"
    EXPERT_HINT = "expert_hint"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageReference:
    """An image that an inspection shows: where it is, not what is in it."""

    role: ImageRole
    path: str
    """Relative to the data set's root; of a hint, the query that it is drawn on."""
    caption: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question as it is put to a model: its options perhaps in another order than the data set's."""

    question_id: str
    """What the wire carries, unique in a run: "KEY#INDEX", "KEY#INDEX+ROTATION", either with "@REPEAT"."""
    index: int
    rotation: int
    text: str
    options: tuple[Option, ...]
    """As shown: letters in order, texts in the order of this question's shuffle or rotation."""
    correct: str
    """The right option's letter, as shown."""
    original_letters: tuple[str, ...]
    """Of each shown option, the letter that it has in the data set."""
    type: QuestionType | None


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """The unit of work: one query image, its companions, and all the questions about it."""

    inspection_id: str
    """"KEY", or "KEY@REPEAT" from the second repeat on."""
    sample: Sample
    repeat: int
    images: tuple[ImageReference, ...]
    """In prompt order: templates, defect examples, query, hint."""
    questions: tuple[AskedQuestion, ...]
    domain_knowledge: str
    seed: int


# ------------------------------------------------------------------------------------------ who is asked


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that answers. Replicas of a model are endpoints with the same name and identity."""

    name: str
    """The model's name in this run."""
    target: str
    """A gRPC target: "host:port", "unix:///path"; or "dns:///name:port", a replica for each address."""
    origin: str
    """Where it comes from, for messages: "--endpoint", "endpoints.yaml, line 3", "--local chance"."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What makes two endpoints replicas of one model, and two runs comparable."""

    name: str
    family: str
    checkpoint: str
    revision: str
    quantization: str
    prompt_sha256: str
    settings: tuple[tuple[str, str], ...]
    """Sorted by key."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelCard:
    """What a service says about itself: its identity, its limits, and notes for people."""

    identity: ModelIdentity
    device: str
    max_images: int
    max_in_flight: int
    max_request_bytes: int
    max_image_pixels: int
    option_scores: bool
    conversation_history: bool
    chain_of_thought: bool
    deterministic: bool
    text_only: bool
    anomaly_map: bool
    environment: tuple[tuple[str, str], ...]
    state: str
    """"loading", "ready" or "draining"."""
    state_detail: str
    notes: tuple[str, ...]


class ReplicaState(enum.StrEnum):
    """How a replica that was found, and not named, is doing. Only those that are READY are asked."""

    READY = "ready"
    STARTING = "starting"
    """Nothing answers yet, or its weights are loading. Is waited for."""
    DRAINING = "draining"
    UNHEALTHY = "unhealthy"
    """Its health check fails, and may succeed again. Is waited for."""
    PAUSED = "paused"
    RESTARTING = "restarting"
    """It ends again and again."""
    EXITED = "exited"
    """It failed, or could not be started."""
    STOPPED = "stopped"
    """It was told to stop, or was never started: nothing is wrong."""
    NO_ADDRESS = "no address"
    NO_ANSWER = "no answer"
    WRONG_CONTRACT = "wrong contract"
    NAME_TAKEN = "name taken"
    """Another model of the same name is asked instead."""


@dataclasses.dataclass(frozen=True, slots=True)
class FoundReplica:
    """A replica that was found, whatever its state."""

    name: str
    """What it calls itself; "" while that is not known."""
    origin: str
    """Where it was found, for messages: "container mmad-chance-1"."""
    target: str
    """"" where there is no address."""
    state: ReplicaState
    reason: str = ""
    """Why it is not ready, one line for people."""
    card: ModelCard | None = None
    """As it last said; its `state` may have changed since."""


# ------------------------------------------------------------------------------------------ what came back


class Outcome(enum.StrEnum):
    """What became of a question that a model was to answer. Only ANSWERED can be right."""

    ANSWERED = "answered"
    """A letter was read."""
    UNREADABLE = "unreadable"
    """There is a text, but no letter could be read from it."""
    REFUSED = "refused"
    """The model or its provider declined."""
    FAILED = "failed"
    """The service, or all attempts to reach it, gave no text."""
    MISSING = "missing"
    """Not asked yet, or stopped before an answer came."""


@dataclasses.dataclass(frozen=True, slots=True)
class OptionScore:
    """Natural log of P(letter) at the answer's first position, not normalised; None where it is unknown."""

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
class Timing:
    """Seconds inside the service, as it measured them."""

    queue_seconds: float = 0.0
    encode_seconds: float = 0.0
    generate_seconds: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRecord:
    """What became of an image: its size in pixels as the model saw it, and its tokens."""

    width: int
    height: int
    tokens: int


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one question, before anyone read it."""

    question_id: str
    text: str = ""
    reasoning: str = ""
    prompt: str = ""
    finish_reason: str = ""
    """"stop", "length", "refused" or ""."""
    failure: str = ""
    """Why there is no text, one line for people; "" where there is one."""
    option_scores: tuple[OptionScore, ...] = ()
    usage: Usage = Usage()
    timing: Timing = Timing()
    seconds: float = 0.0
    """From sending the inspection to this reply, on the orchestrator's monotonic clock."""
    images: tuple[ImageRecord, ...] = ()
    """With kept prompts: what became of each image."""
    anomaly_map: bytes = b""
    """Where it was asked for, with one of an inspection's replies: a 16-bit grey PNG."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A reply and what was read from it. One row of the journal."""

    reply: Reply
    outcome: Outcome
    letter: str | None
    """The letter as shown to the model; None unless ANSWERED."""
    rule: str
    """Which rule of the letter reader decided ("whole", "marker", ...), or "scores"; "" where none did."""


UNFINISHED: Final = "UNFINISHED"
"""The code of an attempt that is under way, or was when its process was killed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One call of Answer: to whom, for what, and how it ended. Every attempt is in the journal."""

    model: str
    inspection_id: str
    target: str
    number: int
    """1 for the first attempt at this inspection in this session; with these three it names the attempt."""
    started_at: str
    """UTC, ISO 8601."""
    seconds: float
    code: str
    """The gRPC status, "UNREADABLE_IMAGE" or "UNREADABLE_HINT" when nothing could be sent, or UNFINISHED."""
    detail: str
    asked: int
    answered: int
    request_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One asked question and what one model made of it: all that scoring reads."""

    key: str
    """The query image's."""
    dataset: str
    product: str
    abnormal: bool
    index: int
    """The question's, within its image."""
    type: QuestionType | None
    rotation: int
    repeat: int
    options: tuple[Option, ...]
    """As shown."""
    original_letters: tuple[str, ...]
    """Of each shown option, the letter that it has in the data set."""
    correct: str
    """As shown."""
    letter: str | None
    """As shown; None unless outcome is ANSWERED."""
    outcome: Outcome
    option_scores: tuple[OptionScore, ...] = ()
