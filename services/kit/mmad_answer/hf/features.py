"""Images to features, one image at a time; those of templates are kept for the inspections that follow.

One image at a time, so that what an image becomes does not depend on its neighbours: a kept feature and a new
one are the same. The price is a smaller batch for the vision tower, whose work on one industrial image fills
a device well enough.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import torch

from mmad_answer.hf.family import Tensors
from mmad_answer.model import Image, ImageRole

_KEPT_ROLES = (ImageRole.NORMAL_TEMPLATE, ImageRole.DEFECT_EXAMPLE)
"""A query and its hint hardly ever come again, and would only push out what does."""
_FIELDS = ("pooler_output", "deepstack_features")
"""Of the encoder's output, what the language model reads; the rest (all hidden states) is not kept."""


class FeatureEncoder:
    """Encodes images by the model's vision tower and projector, and keeps templates by their content.

    Args:
        model: a transformers model with `get_image_features`.
        cache_bytes: of features kept, at most; the least recently used go first.
    """

    def __init__(self, model: Any, cache_bytes: int) -> None:
        self._model = model
        self._cache_bytes = cache_bytes
        self._kept: collections.OrderedDict[object, Any] = collections.OrderedDict()
        self._kept_bytes = 0

    def encode(self, image: Image, inputs: Tensors) -> Any:
        """The features of one image, as the model's own output class.

        Args:
            image: whose content and role decide whether it was or will be kept.
            inputs: the image's part of the image processor's output (`Family.split`).
        """
        key = (image.sha256, *((name, _fingerprint(value)) for name, value in sorted(inputs.items())))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        on_device = {name: _to(value, self._model.device) for name, value in inputs.items()}
        output = self._model.get_image_features(**on_device, return_dict=True)
        features = type(output)(**{name: output[name] for name in _FIELDS if name in output})
        if image.role in _KEPT_ROLES:
            self._keep(key, features)
        return features

    def _keep(self, key: object, features: Any) -> None:
        size = _size_bytes(features)
        if size > self._cache_bytes:
            return
        self._kept[key] = features
        self._kept_bytes += size
        while self._kept_bytes > self._cache_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= _size_bytes(oldest)


def joined(features: Sequence[Any]) -> Any:
    """The output that the encoder would have given for all these images at once."""
    first = features[0]
    return type(first)(**{name: _join([each[name] for each in features]) for name in first})


def token_count(features: Any) -> int:
    """How many of the language model's tokens one image's features take."""
    output = features.pooler_output
    parts = [output] if isinstance(output, torch.Tensor) else output
    return sum(int(part.numel() // part.shape[-1]) for part in parts)


def _join(values: Sequence[Any]) -> Any:
    if isinstance(values[0], torch.Tensor):  # a row for each tile
        return torch.cat(list(values))
    if all(isinstance(each, torch.Tensor) for each in values[0]):  # a tensor for each image or slice
        return tuple(each for value in values for each in value)
    return [_join(layer) for layer in zip(*values, strict=True)]  # for each layer, such a sequence


def _fingerprint(value: Any) -> object:
    """What distinguishes two ways to prepare the same picture: sizes and numbers of tiles."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return tuple(value.shape)
    return repr(value.tolist() if isinstance(value, torch.Tensor) else value)


def _to(value: Any, device: Any) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


def _size_bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return int(value.numel() * value.element_size())
    values = value.values() if isinstance(value, dict) else value
    return sum(_size_bytes(each) for each in values)
