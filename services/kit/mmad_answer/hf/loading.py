"""From `--checkpoint` to a model that answers, or to one line that says why not.

Everything that can be known before gigabytes are read is checked first: the folder, the family, the device.
No code that comes with a checkpoint is run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import huggingface_hub
import torch
import transformers
from huggingface_hub.constants import HF_HUB_OFFLINE
from huggingface_hub.utils.tqdm import disable_progress_bars
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig, PretrainedConfig
from transformers.utils import is_flash_attn_2_available

from mmad_answer.hf.family import Family
from mmad_answer.hf.files import CHECKPOINT_FILES
from mmad_answer.hf.fingerprint import origin
from mmad_answer.hf.options import TransformersOptions
from mmad_answer.model import Card, LoadError
from mmad_answer.wording import in_one_line, message

_log = logging.getLogger(__name__)

_HUB_ID: Final = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_NOT_QUANTIZED: Final = (
    *("model.visual", "model.vision_tower", "model.multi_modal_projector", "model.merger"),
    "lm_head",
)
IMAGE_BACKEND: Final = "torchvision"
"""Of the image processors: their pixels differ from Pillow's by up to 0.015, and answers with them."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A checkpoint in memory, and how it came to be there."""

    model: Any
    processor: Any
    checkpoint: str
    revision: str
    quantization: str
    attention: str
    max_pixels: int
    notes: tuple[str, ...]

    def described(self, card: Card) -> Card:
        """The card, with what only the loaded checkpoint tells."""
        dtype = str(self.model.dtype).removeprefix("torch.")
        settings = {
            **card.settings,
            "dtype": dtype,
            "attention": self.attention,
            "image_backend": IMAGE_BACKEND,
            "max_pixels": str(self.max_pixels),
        }
        penalty = self.model.generation_config.repetition_penalty or 1.0
        if penalty != 1.0:
            settings["repetition_penalty"] = str(penalty)
        return dataclasses.replace(
            card,
            checkpoint=self.checkpoint,
            revision=self.revision,
            quantization=self.quantization,
            device=_device_name(self.model.device),
            max_image_pixels=self.max_pixels,
            # On a GPU, and in a lower precision, sums depend on what else is in a batch.
            capabilities=dataclasses.replace(
                card.capabilities,
                deterministic=dtype == "float32"
                and self.quantization == "none"
                and self.model.device.type == "cpu",
            ),
            settings=settings,
            notes=(*card.notes, *self.notes),
        )


def load(options: TransformersOptions, family: Family) -> Loaded:
    """Load a checkpoint of the family.

    Raises:
        LoadError: with one line on what is wrong with the checkpoint, the machine or the options.
    """
    # The libraries' own bars and warnings would bury the one line that counts.
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    disable_progress_bars()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    where = f"--checkpoint {options.checkpoint}"
    folder = _folder(options, where)
    _check_readable(folder, where)
    config = _config(folder, where)
    _check_family(config, family, where)
    placement = _placement(options)
    notes: list[str] = []
    quantization = _quantized(options, config, where)
    dtype = _dtype(options, config)
    attention = _attention(options, placement, dtype, notes)
    model = _model(options, folder, where, placement, attention, dtype, notes)
    processor = _processor(folder, where)
    family.take(processor, model.config)
    if options.max_pixels is not None:
        try:
            family.limit_pixels(processor, model.config, options.max_pixels)
        except ValueError as error:
            raise LoadError(f"--max-pixels {options.max_pixels}: {error}") from None
    notes += family.notes(model.config)
    checkpoint, revision = origin(folder)
    max_pixels = family.max_pixels(processor)
    return Loaded(model, processor, checkpoint, revision, quantization, attention, max_pixels, tuple(notes))


def _folder(options: TransformersOptions, where: str) -> Path:
    """The checkpoint's files; fetched from the hub, where they are not in its cache. All of one commit."""
    folder = Path(os.path.expanduser(options.checkpoint))  # noqa: PTH111 - raises for no unknown user
    if folder.is_dir():
        if options.revision:
            raise LoadError(f"{where}: is a folder here, and --revision is of the hub: leave one of them out")
        return folder
    if not _HUB_ID.fullmatch(options.checkpoint):
        raise LoadError(f"{where}: there is no such folder, and it is no hub id (OWNER/NAME) either")
    try:
        return Path(
            huggingface_hub.snapshot_download(
                options.checkpoint, revision=options.revision, allow_patterns=list(CHECKPOINT_FILES)
            )
        )
    except Exception as error:  # of several libraries, down to the sockets
        offline = "; HF_HUB_OFFLINE is set, so nothing is fetched" if HF_HUB_OFFLINE else ""
        raise LoadError(
            f"{where}: is neither a folder nor to be had from the hub: {in_one_line(error)}{offline}"
        ) from error


def _check_readable(folder: Path, where: str) -> None:
    """Name what this user may not read: safetensors writes files for their owner only."""
    unreadable: Path | None = folder
    if os.access(folder, os.R_OK | os.X_OK):
        files = (file for pattern in CHECKPOINT_FILES for file in sorted(folder.glob(pattern)))
        unreadable = next((file for file in files if file.is_file() and not os.access(file, os.R_OK)), None)
    if unreadable:
        raise LoadError(
            f"{where}: {unreadable} is not readable by this user (uid {os.getuid()}); chmod -R a+rX {folder}"
        )


def _config(folder: Path, where: str) -> Mapping[str, Any]:
    if not (folder / "config.json").is_file():
        raise LoadError(f"{where}: holds no config.json, so it is no checkpoint of transformers")
    with _explained(where, "its config.json cannot be read"):
        config, _ = PretrainedConfig.get_config_dict(folder)
        config = dict(config)
    generation = folder / "generation_config.json"
    if generation.is_file():  # the library would go on without a broken one
        with _explained(where, "its generation_config.json cannot be read"):
            json.loads(generation.read_text(encoding="utf-8"))
    return config


def _check_family(config: Mapping[str, Any], family: Family, where: str) -> None:
    found = str(config.get("model_type", ""))
    advice = family.advice(config)
    if found in family.model_types and not advice:
        return
    known = ", ".join(sorted(family.model_types))
    raise LoadError(
        f"{where}: its config.json says model_type {found!r}, and this service answers with {known}"
        + (f"; {advice}" if advice else "")
    )


def _placement(options: TransformersOptions) -> dict[str, Any]:
    """Where the weights go, as arguments of `from_pretrained`.

    Raises:
        LoadError: there is no such device.
    """
    gpus = torch.cuda.device_count()
    if options.device_map == "auto":
        if not gpus:
            raise LoadError("--device-map auto: no GPU is to be seen here; use --device cpu")
        return {"device_map": "auto"}
    name = ("cuda" if gpus else "cpu") if options.device == "auto" else options.device
    try:
        device = torch.device(name)
    except RuntimeError:
        raise LoadError(f"--device {name}: is no device; say cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= gpus:
        seen = f"{gpus} GPU(s) are" if gpus else "no GPU is"
        built = "" if torch.version.cuda else ", and this torch is built without CUDA"
        raise LoadError(f"--device {name}: {seen} to be seen here{built}; use --device cpu")
    return {"device_map": {"": name}}


def _dtype(options: TransformersOptions, config: Mapping[str, Any]) -> str:
    """The precision of the weights: what was asked for, or what the checkpoint says, here or of its text."""
    if options.dtype != "auto":
        return options.dtype
    said = (
        part.get(key)
        for part in (config, config.get("text_config") or {})
        for key in ("dtype", "torch_dtype")
    )
    return str(next((each for each in said if each), "float32"))


def _attention(
    options: TransformersOptions, placement: Mapping[str, Any], dtype: str, notes: list[str]
) -> str:
    """The implementation to use; a note, if it is not the one that was asked for."""
    on_gpu = placement["device_map"] == "auto" or "cuda" in placement["device_map"][""]
    flash = is_flash_attn_2_available() and on_gpu and dtype != "float32"
    if options.attention == "flash_attention_2" and not flash:
        notes.append(
            "flash_attention_2 was asked for and cannot be had here (no flash-attn, no GPU, or float32): sdpa"
        )
        _log.warning("%s", notes[-1])
        return "sdpa"
    if options.attention == "auto":
        return "flash_attention_2" if flash else "sdpa"
    return options.attention


def _model(
    options: TransformersOptions,
    folder: Path,
    where: str,
    placement: Mapping[str, Any],
    attention: str,
    dtype: str,
    notes: list[str],
) -> Any:
    quantization = _quantization(options, dtype)
    with _explained(where, "its weights cannot be loaded"):
        model, info = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=options.dtype,
            attn_implementation=attention,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
            use_safetensors=True,
            trust_remote_code=False,
            **placement,
            **({"quantization_config": quantization} if quantization else {}),
        )
    if other := sorted(str(each[0]) for each in info["mismatched_keys"]):
        raise LoadError(
            f"{where}: {len(other)} of its weights have another shape than its config.json says, "
            f"{other[0]} first: one of the two is of another checkpoint"
        )
    if unused := sorted(info["unexpected_keys"]):
        notes.append(f"{len(unused)} weights of the checkpoint are not used, {unused[0]} first")
    absent = sorted(info["missing_keys"])
    if absent:
        raise LoadError(
            f"{where}: is incomplete: {len(absent)} of its weights are missing, {absent[0]} first"
        )
    return model.eval()


def _quantized(options: TransformersOptions, config: Mapping[str, Any], where: str) -> str:
    """How the weights will be packed: as asked for, or as the checkpoint brings them."""
    brought = config.get("quantization_config") or {}
    if not brought:
        return options.quantization
    method = str(brought.get("quant_method") or "unknown method")
    bits = brought.get("bits") or (
        8 * bool(brought.get("load_in_8bit")) or 4 * bool(brought.get("load_in_4bit"))
    )
    packed = f"{bits}bit ({method})" if bits else method
    if options.quantization != "none":
        raise LoadError(
            f"--quantization {options.quantization}: the checkpoint is packed already, {packed}; leave it out"
        )
    return packed


def _quantization(options: TransformersOptions, dtype: str) -> BitsAndBytesConfig | None:
    """How weights are packed. What sees keeps its precision: it is a small part, and defects are small."""
    if options.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(_NOT_QUANTIZED))
    if options.quantization == "4bit":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=getattr(torch, dtype),
            llm_int8_skip_modules=list(_NOT_QUANTIZED),
        )
    return None


def _processor(folder: Path, where: str) -> Any:
    with _explained(where, "its tokenizer or image processor cannot be loaded"):
        processor = AutoProcessor.from_pretrained(folder, backend=IMAGE_BACKEND, trust_remote_code=False)
    if not getattr(processor, "chat_template", None):
        raise LoadError(f"{where}: has no chat template, so nothing says how to put a question to it")
    # Where its files are missing, the library makes an empty tokenizer and says nothing.
    if processor.tokenizer.decode(processor.tokenizer.encode("A", add_special_tokens=False)).strip() != "A":
        raise LoadError(f"{where}: its tokenizer is missing or broken: it cannot spell the letter A")
    processor.tokenizer.padding_side = "left"
    return processor


@contextlib.contextmanager
def _explained(where: str, what: str) -> Iterator[None]:
    """Turn what a library says into the line that we print."""
    try:
        yield
    except Exception as error:  # what a library raises for a broken file is of any class
        said = " ".join(f"{type(error).__name__}: {message(error)}".split())
        raise LoadError(f"{where}: {what}: {textwrap.shorten(said, 300)}") from error


def _device_name(device: Any) -> str:
    if device.type != "cuda":
        return str(device)
    return f"cuda:{device.index or 0} {torch.cuda.get_device_name(device)}"
