import hashlib
import threading

import PIL.Image
import pytest

from mmad_answer.images import inspect
from mmad_answer.model import ImageRole
from mmad_answer.preparation import PixelCache, prepare
from mmad_answer.refusal import RefusalError

MIB = 2**20


def prepared(request, cache, stopped=None):
    headers = inspect([image.content for image in request.images])
    return prepare(request.images, headers, cache, stopped or threading.Event())


def test_images_keep_their_order_and_carry_all_that_a_model_needs(ask, encoded):
    template, query = encoded(format="JPEG"), encoded(size=(7, 5))
    request = ask(images=[template, query])
    request.images[0].media_type = "image/png"  # a lie
    request.images[1].caption = "the part"
    first, second = prepared(request, PixelCache(0))
    assert (first.role, second.role) == (ImageRole.NORMAL_TEMPLATE, ImageRole.QUERY)
    assert (first.content, second.content) == (template, query)
    assert first.media_type == "image/jpeg"
    assert second.caption == "the part"
    assert second.sha256 == hashlib.sha256(query).hexdigest()
    assert second.pixels.size == (7, 5)


def test_a_template_is_decoded_once_for_consecutive_inspections(ask, encoded):
    template, cache = encoded(colour=(1, 2, 3)), PixelCache(MIB)
    first, _ = prepared(ask(images=[template, encoded()]), cache)
    again, _ = prepared(ask(images=[template, encoded()]), cache)
    assert again.pixels is first.pixels


def test_a_query_is_not_kept(ask, encoded):
    query, cache = encoded(), PixelCache(MIB)
    (first,) = prepared(ask(images=[query]), cache)
    (again,) = prepared(ask(images=[query]), cache)
    assert again.pixels is not first.pixels


def test_a_cache_of_no_bytes_keeps_nothing(ask, encoded):
    template, cache = encoded(), PixelCache(0)
    first, _ = prepared(ask(images=[template, encoded()]), cache)
    again, _ = prepared(ask(images=[template, encoded()]), cache)
    assert again.pixels is not first.pixels


def test_the_cache_is_bounded_in_bytes_and_forgets_the_least_recently_used():
    pictures = {name: PIL.Image.new("RGB", (100, 100)) for name in "abc"}  # 40,000 bytes each
    cache = PixelCache(100_000)
    cache.put("a", pictures["a"])
    cache.put("b", pictures["b"])
    assert cache.get("a") is pictures["a"]
    cache.put("c", pictures["c"])
    assert cache.get("b") is None
    assert cache.get("a") is pictures["a"]
    assert cache.get("c") is pictures["c"]
    cache.put("huge", PIL.Image.new("RGB", (400, 400)))
    assert cache.get("huge") is None
    assert cache.get("c") is pictures["c"]


def test_every_truncated_image_is_named(ask, encoded):
    good = encoded(size=(200, 200))
    request = ask(images=[good, good[:-40], good, good[:60]])
    with pytest.raises(RefusalError, match=r"images\[1\].content: .*truncated") as refused:
        prepared(request, PixelCache(0))
    (details,) = refused.value.details
    assert [each.field for each in details.field_violations] == ["images[1].content", "images[3].content"]


def test_nothing_more_is_decoded_once_nobody_waits(ask, encoded):
    stopped = threading.Event()
    stopped.set()
    assert prepared(ask(images=[encoded(), encoded()]), PixelCache(0), stopped) == ()
