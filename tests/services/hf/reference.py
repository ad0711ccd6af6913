"""What the library says by itself: one question at a time, in its own words, nothing of `mmad_answer.hf`.

    PYTHON reference.py CHECKPOINT REQUESTS

REQUESTS is a folder of serialised requests, NAME.pb. Prints a JSON object: for each name and question id the
text, its tokens, the prompt's length, and every capital letter's log probability at the first position, over
all tokens of the vocabulary whose text is the letter, but for white space before it.
"""

import collections
import io
import json
import math
import pathlib
import sys

import PIL.Image
import torch
import transformers

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import prompt
from mmad_answer.model import ChainOfThought, Image, ImageRole, Inspection, Option, Question, Turn


class Library:
    """A checkpoint, as the library's own examples load and ask it."""

    def __init__(self, folder):
        self.processor = transformers.AutoProcessor.from_pretrained(folder)
        self.model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()
        self.tokenizer = self.processor.tokenizer
        ends = self.model.generation_config.eos_token_id
        self.ends = ends if isinstance(ends, list) else [ends]
        self.knows_system = not self.model.config.model_type.startswith("llava")
        self.letters = collections.defaultdict(list)
        for token in range(len(self.tokenizer)):
            spelt = self.tokenizer.decode([token]).lstrip()
            if len(spelt) == 1 and spelt in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
                self.letters[spelt].append(token)

    def say(self, messages, max_new_tokens):
        """The answer to a conversation, greedily."""
        if not self.knows_system:
            messages = prompt.without_system(messages)
        inputs = self.processor.apply_chat_template(
            [{"role": str(each.speaker), "content": [part(one) for one in each.parts]} for each in messages],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        for holder in (self.model, self.model.model):
            if hasattr(holder, "rope_deltas"):
                holder.rope_deltas = None  # nothing of the question before
        output = self.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max_new_tokens,
            return_dict_in_generate=True,
            output_logits=True,
        )
        length = inputs["input_ids"].shape[1]
        ids = output.sequences[0, length:].tolist()
        logs = torch.log_softmax(output.logits[0][0].double(), dim=-1)
        return {
            "text": self.tokenizer.decode(ids, skip_special_tokens=True),
            "tokens": len(ids),
            "ended": ids[-1] in self.ends,
            "prompt_tokens": length,
            "scores": {
                letter: math.log(math.fsum(math.exp(logs[token]) for token in tokens))
                for letter, tokens in self.letters.items()
            },
        }

    def answer(self, request):
        """All questions of a request: {question id: what `say` gives}."""
        inspection, limits = inspected(request), request.generation
        analysis = request.analysis
        if inspection.chain_of_thought is ChainOfThought.PER_INSPECTION and not analysis:
            said = self.say(prompt.analysis_request(inspection), limits.max_reasoning_tokens)
            analysis = said["text"]
        thinks = inspection.chain_of_thought is ChainOfThought.PER_QUESTION
        length = limits.max_new_tokens + (limits.max_reasoning_tokens if thinks else 0)
        turns, answers = list(inspection.history), {}
        for question in inspection.questions:
            said = self.say(prompt.conversation(inspection, question, turns, analysis), length)
            answers[question.question_id] = said | {"analysis": analysis}
            if inspection.conversation_history and said["text"]:
                turns.append(Turn(question, said["text"]))
        return answers


def part(one):
    return {"type": "text", "text": one} if isinstance(one, str) else {"type": "image", "image": one.pixels}


def inspected(request):
    """A request as the prompt wants it."""

    def question(each):
        options = tuple(Option(one.letter, one.text) for one in each.options)
        return Question(each.question_id, each.text, options)

    def image(each):
        role = ImageRole[pb.ImageRole.Name(each.role).removeprefix("IMAGE_ROLE_")]
        pixels = PIL.Image.open(io.BytesIO(each.content)).convert("RGB")
        return Image(role, each.content, each.media_type, each.caption, "", pixels)

    thought = pb.ChainOfThought.Name(request.prompting.chain_of_thought).removeprefix("CHAIN_OF_THOUGHT_")
    return Inspection(
        request.inspection_id,
        tuple(image(each) for each in request.images),
        tuple(question(each) for each in request.questions),
        request.domain_knowledge,
        request.prompting.instruction,
        request.prompting.conversation_history,
        ChainOfThought.NONE if thought == "UNSPECIFIED" else ChainOfThought[thought],
        history=tuple(Turn(question(each.question), each.answer) for each in request.history),
    )


def main(checkpoint, requests):
    transformers.utils.logging.disable_progress_bar()
    library = Library(checkpoint)
    paths = sorted(pathlib.Path(requests).glob("*.pb"))
    json.dump(
        {path.stem: library.answer(pb.AnswerRequest.FromString(path.read_bytes())) for path in paths},
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
