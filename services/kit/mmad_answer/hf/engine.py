"""Prefixes and what is generated after them: the one place that runs the model.

A prefix is what several prompts have in common. It goes through the model once, with its images, and leaves a
cache of keys and values; each prompt then costs its own words only. `generate` of transformers does both
steps, so that positions, masks and stopping rules are the library's.

One thread at a time: the Qwen-VL family and MiniCPM-V 4.7 keep the positions of the latest prefix
(`rope_deltas`) on the model, so these are set anew before everything that is generated.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from accelerate.utils.memory import clear_device_cache
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from mmad_answer.hf.family import Family, Tensors
from mmad_answer.hf.features import FeatureEncoder, joined, token_count
from mmad_answer.hf.prompting import Prompt
from mmad_answer.model import Image

_OUT_OF_MEMORY: Final = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""In the words of the CUDA driver, of torch on a CPU, and of cuBLAS, which have no class of their own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sampling:
    """How one text is chosen. At temperature 0 it is the likeliest, and the seed says nothing."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """What is to become a prefix: its tokens, and the images among them in their order."""

    prompt: Prompt
    images: Sequence[Image]
    inputs: Sequence[Tensors]
    """Of each image, the arguments of `get_image_features`."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """A batch of prefixes, left-padded to one length, and what the model made of them."""

    openings: Sequence[Opening]
    cache: Any
    length: int
    rope_deltas: Any
    image_tokens: Sequence[Sequence[int]]
    """Of each opening, how many tokens each of its images takes."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Text:
    """What was generated for one prompt."""

    text: str
    token_count: int
    """Its end token included."""
    ended: bool
    """Whether it came to its end, rather than to the limit of its length."""
    first_logits: Any
    """Of the first position: one number for each token of the vocabulary."""


class Engine:
    """A loaded model. Not for several threads at once.

    Args:
        model: a transformers model that generates from images and text.
        tokenizer: the checkpoint's.
        family: of the checkpoint.
        cache_bytes: for the features of templates.
    """

    def __init__(self, model: Any, tokenizer: Any, family: Family, cache_bytes: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._family = family
        self._features = FeatureEncoder(model, cache_bytes)
        configured = model.generation_config.eos_token_id
        ends = configured if isinstance(configured, list) else [configured, tokenizer.eos_token_id]
        self._ends = frozenset(each for each in ends if each is not None)
        padding = tokenizer.pad_token_id
        self._padding = next(iter(self._ends), 0) if padding is None else padding

    @functools.cached_property
    def context_length(self) -> int:
        """How many tokens fit, prompt and answer together."""
        return int(getattr(self._model.config.get_text_config(), "max_position_embeddings", 0) or 2**31)

    def prefixes(self, openings: Sequence[Opening]) -> Prefixes:
        """Run openings through the model, their images included.

        Raises:
            Exception: whatever the library raises; `is_out_of_memory` tells one kind.
        """
        if self._holder_of_deltas:  # MiniCPM-V 4.7 would keep the latest for a prefix without images
            self._holder_of_deltas.rope_deltas = None
        # MiniCPM's cache cannot be copied once it was made in inference mode.
        with torch.no_grad():
            features = [
                [
                    self._features.encode(image, inputs)
                    for image, inputs in zip(each.images, each.inputs, strict=True)
                ]
                for each in openings
            ]
            flat = [each for of_one in features for each in of_one]
            inputs = [each for opening in openings for each in opening.inputs]
            prompts = [each.prompt for each in openings]
            output = self._generate(
                Sampling(max_new_tokens=1),
                **self._padded(prompts),
                **self._types(prompts),
                **{
                    name: torch.cat([each[name] for each in inputs]).to(self._model.device)
                    for name in self._family.position_inputs
                    if inputs
                },
                **({"mm_encoder_outputs": {"image": joined(flat)}} if flat else {}),
            )
        return Prefixes(
            openings,
            output.past_key_values,
            max(len(each.ids) for each in prompts),
            copy.deepcopy(self._holder_of_deltas.rope_deltas) if self._holder_of_deltas else None,
            [[token_count(each) for each in of_one] for of_one in features],
        )

    def generate(
        self,
        prefixes: Prefixes,
        rows: Sequence[tuple[int, Prompt]],
        sampling: Sampling,
        stopped: Callable[[], bool],
        *,
        keep: bool,
    ) -> list[Text]:
        """Generate a text for each row: a prefix's number and a prompt that goes on from it.

        Without `keep` the prefixes are used up, which spares their copy.

        Raises:
            Exception: whatever the library raises; `is_out_of_memory` tells one kind.
        """
        chosen = torch.tensor([number for number, _ in rows])  # on the CPU: layers may lie on several devices
        openings = [prefixes.openings[number].prompt for number, _ in rows]
        rests = [prompt.ids[len(opening.ids) :] for (_, prompt), opening in zip(rows, openings, strict=True)]
        before, after = self._padded(openings, prefixes.length), self._padded(rests)
        inputs = {name: torch.cat([before[name], after[name]], dim=1) for name in before}
        if self._holder_of_deltas:
            deltas = prefixes.rope_deltas
            self._holder_of_deltas.rope_deltas = None if deltas is None else deltas[chosen]
        with torch.no_grad(), _FirstLogits(self._model) as first:
            output = self._generate(
                sampling,
                **inputs,
                past_key_values=self._continued(prefixes.cache, chosen, keep=keep),
                stopping_criteria=StoppingCriteriaList([_Stopped(stopped)]),
            )
        width = inputs["input_ids"].shape[1]
        return [
            self._text(ids, logits)
            for ids, logits in zip(output.sequences[:, width:].tolist(), first.logits, strict=True)
        ]

    def _continued(self, cache: Any, chosen: torch.Tensor, *, keep: bool) -> Any:
        """The cache to go on from, a row for each that is chosen."""
        if not self._family.repeats_cache:
            return copy.deepcopy(cache) if keep else cache  # its layers change their states in place
        if keep:  # selecting makes new tensors, and so does every token: the kept ones are never written to
            cache = copy.copy(cache)
            cache.layers = [copy.copy(layer) for layer in cache.layers]
        cache.batch_select_indices(chosen)
        return cache

    def _text(self, ids: list[int], logits: torch.Tensor) -> Text:
        end = next((i for i, each in enumerate(ids) if each in self._ends), None)
        kept = ids if end is None else ids[: end + 1]
        text = self._tokenizer.decode(kept, skip_special_tokens=True)
        return Text(str(text), len(kept), end is not None, logits)

    def _generate(self, sampling: Sampling, **inputs: Any) -> Any:
        config: GenerationConfig = copy.deepcopy(self._model.generation_config)
        greedy = sampling.temperature == 0
        # What the checkpoint says of sampling is left out: one protocol for all models.
        config.update(
            do_sample=not greedy,
            temperature=None if greedy else sampling.temperature,
            top_p=None if greedy else sampling.top_p,
            top_k=None if greedy else 0,
            num_beams=1,
            num_return_sequences=1,
            max_new_tokens=sampling.max_new_tokens,
            max_length=None,
            pad_token_id=self._padding,
            use_cache=True,
            return_dict_in_generate=True,
        )
        with torch.random.fork_rng(enabled=not greedy):
            if not greedy:
                torch.manual_seed(sampling.seed)
            return self._model.generate(**inputs, generation_config=config)

    def _padded(self, prompts: Sequence[Any], length: int = 0) -> dict[str, torch.Tensor]:
        """Ids and mask, padded on the left to the longest or to `length`.

        With each row's own first token, not the padding token: a repetition penalty takes masked tokens for
        said, and with Qwen's the padding token is one that ends a text.
        """
        rows = [each.ids if isinstance(each, Prompt) else each for each in prompts]
        width = max(length, *(len(each) for each in rows))
        ids = [[each[0]] * (width - len(each)) + list(each) for each in rows]
        mask = [[0] * (width - len(each)) + [1] * len(each) for each in rows]
        device = self._model.device
        return {
            "input_ids": torch.tensor(ids, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }

    def _types(self, prompts: Sequence[Prompt]) -> dict[str, torch.Tensor]:
        rows = [each.types for each in prompts if each.types is not None]
        if not rows:
            return {}
        width = max(len(each) for each in rows)
        padded = [[0] * (width - len(each)) + each for each in rows]
        return {"mm_token_type_ids": torch.tensor(padded, device=self._model.device)}

    @functools.cached_property
    def _holder_of_deltas(self) -> Any:
        inner = getattr(self._model, "model", None)
        return inner if hasattr(inner, "rope_deltas") else None


class _Stopped(StoppingCriteria):  # type: ignore[misc]
    """Ends the generation when nobody waits for it any more."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._stopped(), device=input_ids.device)


class _FirstLogits:
    """The logits of the first generated position, before anything (a repetition penalty) changes them.

    `generate` would keep those of all positions: gigabytes, for long thoughts.
    """

    def __init__(self, model: Any) -> None:
        self._head = model.get_output_embeddings()
        self.logits: torch.Tensor = torch.empty(0)

    def __enter__(self) -> _FirstLogits:
        self._hook = self._head.register_forward_hook(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _see(self, module: Any, inputs: Any, output: torch.Tensor) -> None:
        if not len(self.logits):
            self.logits = output[:, -1].detach()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, or the machine, has no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def free_memory() -> None:
    """Give back what a failed attempt has left behind."""
    clear_device_cache(garbage_collection=True)


def common_prefix(prompts: Sequence[Prompt]) -> int:
    """With how many tokens all the prompts begin."""
    columns = zip(*(each.ids for each in prompts), strict=False)  # as many as the shortest has
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))
