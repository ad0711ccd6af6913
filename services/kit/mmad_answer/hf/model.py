"""A service on transformers: what `Model` asks for, for any family. A service adds its `Family`, no more."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

import PIL.Image

from mmad_answer.hf.family import Family
from mmad_answer.hf.options import TransformersOptions
from mmad_answer.model import (
    Answer,
    Capabilities,
    Card,
    ChainOfThought,
    Failure,
    FinishReason,
    Generation,
    Image,
    ImageRole,
    Inspection,
    LoadError,
    Model,
    Option,
    OptionScore,
    Question,
    Reply,
    Usage,
)
from mmad_answer.prompt import PROMPT_SHA256, conversation
from mmad_answer.wording import in_one_line

if TYPE_CHECKING:  # torch takes seconds to import, and `--help` is quick
    from mmad_answer.hf.dialogue import Limits
    from mmad_answer.hf.letters import LetterTokens
    from mmad_answer.hf.loading import Loaded
    from mmad_answer.hf.prompting import Prompter
    from mmad_answer.hf.talk import Done, Row
    from mmad_answer.hf.work import Work

_TRIAL: Final = Inspection(
    "trial",
    (Image(ImageRole.QUERY, b"", "image/png", "", "trial", PIL.Image.new("RGB", (64, 64), "grey")),),
    (Question("trial", "Is there a defect?", (Option("A", "Yes"), Option("B", "No"))),),
    generation=Generation(max_new_tokens=1, option_scores=True),
)


class TransformersModel(Model[TransformersOptions]):
    """Any checkpoint of one family. A subclass names the family."""

    Options = TransformersOptions
    batch_size = 4
    family: ClassVar[type[Family]]

    def __init__(self, options: TransformersOptions) -> None:
        super().__init__(options)
        self._family = self.family()
        self._loaded: Loaded | None = None
        self._thinks = False
        """Whether the chat template opens a thought, so that an answer begins with it."""

    def describe(self) -> Card:
        """Say who this is; what only the checkpoint tells comes once it is loaded."""
        options = self.options
        card = Card(
            name=options.name or options.checkpoint.rstrip("/").rsplit("/", 1)[-1].lower(),
            family=self._family.name,
            checkpoint=options.checkpoint.rstrip("/"),
            revision=options.revision or "",
            quantization=options.quantization,
            device=options.device,
            prompt_sha256=PROMPT_SHA256,
            capabilities=Capabilities(
                option_scores=True, conversation_history=True, chain_of_thought=True, text_only=True
            ),
            settings={
                "max_new_tokens": str(options.max_new_tokens),
                "max_reasoning_tokens": str(options.max_reasoning_tokens),
            },
        )
        if not self._loaded:
            return card
        card = self._loaded.described(card)
        if not self._thinks:
            return card
        return dataclasses.replace(
            card,
            capabilities=dataclasses.replace(card.capabilities, option_scores=False),
            notes=(*card.notes, "thinks before every answer, in the same text: no option scores"),
        )

    def load(self) -> None:
        """Load the checkpoint, and all that goes with it.

        Raises:
            LoadError: it is missing, incomplete or of another family, or does not fit this machine.
        """
        from mmad_answer.hf.dialogue import Limits
        from mmad_answer.hf.engine import Engine
        from mmad_answer.hf.letters import LetterTokens
        from mmad_answer.hf.loading import load
        from mmad_answer.hf.prompting import Prompter
        from mmad_answer.hf.work import Sharing, Work

        options = self.options
        loaded = load(options, self._family)
        tokenizer = loaded.processor.tokenizer
        engine = Engine(loaded.model, tokenizer, self._family, options.feature_cache_mib * 2**20)
        self._letters: LetterTokens = LetterTokens(tokenizer)
        self._prompter: Prompter = Prompter(loaded.processor, self._family)
        self._thinks = self._prompter.opens_thought(conversation(_TRIAL, _TRIAL.questions[0]))
        self._limits: Limits = Limits(options.max_new_tokens, options.max_reasoning_tokens, self._thinks)
        sharing = Sharing(options.share_prefix, options.batch_questions, self._family.repeats_cache)
        self._work: Work = Work(engine, self._prompter, sharing)
        self._try_out()
        self._loaded = loaded

    def _try_out(self) -> None:
        """Answer once, so that what cannot work here (a kernel, a device) ends the start and not a run.

        Raises:
            LoadError: with what the library says.
        """
        try:
            [reply] = self.answer([_TRIAL])
        except Exception as error:
            failed = in_one_line(error)
        else:
            failed = _trial_failed(reply.outcome, scored=not self._thinks)
        if failed:
            raise LoadError(f"--checkpoint {self.options.checkpoint}: loads, but cannot answer: {failed}")

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """Answer the questions of the whole batch together, as far as they do not wait for each other."""
        from mmad_answer.hf.dialogue import dialogue

        analyses: dict[Inspection, Done] = {}
        dialogues = [(each, dialogue(each, self._limits)) for each in batch if not each.stopped.is_set()]
        for done in self._work.run(dialogues):
            inspection, question = done.row.inspection, done.row.request.question
            if question is not None:
                analysis = analyses.pop(inspection, None)
                yield Reply(inspection, question.question_id, self._outcome(done, analysis))
            elif isinstance(done.outcome, Failure):
                for each in inspection.questions:
                    yield Reply(inspection, each.question_id, done.outcome)
            else:
                analyses[inspection] = done

    def _outcome(self, done: Done, analysis: Done | None) -> Answer | Failure:
        """What a row gives as a reply; its inspection's first one also tells what the analysis has cost."""
        text, row = done.outcome, done.row
        if isinstance(text, Failure):
            return text
        generation = row.inspection.generation
        answer = Answer(
            text.text,
            FinishReason.STOP if text.ended else FinishReason.LENGTH,
            option_scores=self._scores(row, text.first_logits) if generation.option_scores else (),
            usage=Usage(len(row.prompt.ids), text.token_count, done.cached_tokens),
            reasoning=row.request.analysis,
            encode_seconds=done.encode_seconds,
            generate_seconds=done.generate_seconds,
        )
        if generation.return_prompt:
            images = [
                self._family.record(inputs, tokens)
                for inputs, tokens in zip(row.inputs, done.image_tokens, strict=True)
            ]
            answer = dataclasses.replace(answer, prompt=self._prompter.text(row.prompt), images=tuple(images))
        if analysis is not None and not isinstance(analysis.outcome, Failure):
            thoughts = analysis.outcome.token_count
            answer = dataclasses.replace(
                answer,
                usage=dataclasses.replace(answer.usage, reasoning_tokens=thoughts),
                encode_seconds=answer.encode_seconds + analysis.encode_seconds,
                generate_seconds=answer.generate_seconds + analysis.generate_seconds,
            )
        return answer

    def _scores(self, row: Row, logits: object) -> tuple[OptionScore, ...]:
        thinks = self._thinks or row.inspection.chain_of_thought is ChainOfThought.PER_QUESTION
        if thinks or row.request.question is None:
            return ()  # thoughts come first
        return self._letters.scores(row.request.question, logits)

    def close(self) -> None:
        """Let the weights go."""
        for name in ("_work", "_prompter", "_letters"):
            self.__dict__.pop(name, None)
        self._loaded = None


def _trial_failed(outcome: Answer | Failure, *, scored: bool) -> str:
    """What is wrong with the answer to the trial; "" if nothing."""
    if isinstance(outcome, Failure):
        return outcome.message
    if scored and not any(score.log_probability for score in outcome.option_scores):
        return (
            "its probabilities are no numbers: the weights are damaged, or the precision is too low for them"
        )
    return ""
