import io
import itertools

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.PngImagePlugin
import pytest

from mmad_answer.remote.images import ImagePolicy, ImageTooLargeError


def decoded(sent):
    image = PIL.Image.open(io.BytesIO(sent.content))
    assert f"image/{image.format.lower()}" == sent.media_type, "it says what it is"
    assert image.size == (sent.width, sent.height)
    return image


def noise(make_picture, size, form, **saving):
    """A picture that does not compress."""
    image = make_picture(size=size, form=form, **saving)
    pixels = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    file = io.BytesIO()
    pixels.save(file, form, **saving)
    return type(image)(image.role, file.getvalue(), image.media_type, "", "noise", pixels)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_within_the_limits_the_file_goes_as_it_came(make_picture, form):
    image = make_picture(size=(30, 20), form=form)
    sent = ImagePolicy(max_pixels=600, max_side=30, max_bytes=len(image.content)).prepare(image)
    assert sent.content is image.content
    decoded(sent)


@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_what_the_provider_does_not_read_becomes_png_without_loss(make_picture, form):
    image = noise(make_picture, (30, 20), form)
    sent = ImagePolicy().prepare(image)
    assert sent.media_type == "image/png"
    assert decoded(sent).tobytes() == image.pixels.tobytes()


def test_a_file_that_only_exif_turns_upright_is_sent_upright(make_picture):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = make_picture(size=(30, 20), form="JPEG", exif=exif)
    sent = ImagePolicy().prepare(image)
    assert sent.content is not image.content
    assert decoded(sent).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_whether_a_file_is_upright_is_found_out_without_decoding_it(make_picture, monkeypatch, form):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    plain, turned = make_picture(form=form), make_picture(form=form, exif=exif)
    decoded = []
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", decoded.append)
    assert ImagePolicy()._fits(plain)
    assert not ImagePolicy()._fits(turned)
    assert decoded == []


def test_a_png_that_only_xmp_or_a_text_turns_upright_is_sent_upright(make_picture):
    xmp = PIL.PngImagePlugin.PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>', zip=True)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    raw = PIL.PngImagePlugin.PngInfo()
    content = exif.tobytes().hex()
    raw.add_text("Raw profile type exif", f"\nexif\n{len(content) // 2}\n{content}\n", zip=True)
    for pnginfo in (xmp, raw):
        image = make_picture(pnginfo=pnginfo)
        assert ImagePolicy().prepare(image).content is not image.content


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        ({"max_side": 100}, (100, 50)),
        ({"max_pixels": 5000}, (100, 50)),
        ({"max_pixels": 5000, "max_side": 50}, (50, 25)),
        ({"max_side": 200}, (200, 100)),
    ],
)
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_larger_images_are_scaled_down_in_their_shape_and_keep_their_form(make_picture, limits, size, form):
    sent = ImagePolicy(**limits).prepare(make_picture(size=(200, 100), form=form))
    assert decoded(sent).size == size
    assert sent.media_type == f"image/{form.lower()}"


@pytest.mark.parametrize("limit", [7, 10, 100, 336, 511, 512, 768])
def test_the_longer_side_is_the_limit_itself_whatever_the_images_size(limit):
    for longer in range(limit + 1, limit + 1200, 7):
        for size in ((longer, longer * 2 // 3 + 1), (longer * 2 // 3 + 1, longer)):
            scaled = ImagePolicy(max_side=limit)._size(size)
            assert max(scaled) == limit
            assert abs(min(scaled) - limit * min(size) / longer) <= 0.5


def test_the_number_of_pixels_is_never_above_its_limit_and_close_to_it():
    for width, height, limit in itertools.product(range(300, 900, 37), range(200, 700, 31), (5000, 65_536)):
        scaled = ImagePolicy(max_pixels=limit)._size((width, height))
        assert 0.95 * min(limit, width * height) < scaled[0] * scaled[1] <= limit
    assert ImagePolicy(max_pixels=10)._size((1000, 1)) == (10, 1)


def test_a_thin_image_keeps_at_least_one_pixel(make_picture):
    sent = ImagePolicy(max_side=10).prepare(make_picture(size=(200, 2)))
    assert decoded(sent).size == (10, 1)


def test_a_file_over_the_limit_of_bytes_becomes_a_jpeg_of_the_same_size_if_that_fits(make_picture):
    image = noise(make_picture, (100, 80), "PNG")
    sent = ImagePolicy(max_bytes=len(image.content) - 1).prepare(image)
    assert sent.media_type == "image/jpeg"
    assert decoded(sent).size == (100, 80)


def test_a_file_that_even_jpeg_leaves_too_large_is_scaled_down_until_it_fits(make_picture):
    image = noise(make_picture, (300, 240), "PNG")
    sent = ImagePolicy(max_bytes=30_000).prepare(image)
    assert len(sent.content) <= 30_000
    assert 64 < decoded(sent).width < 300
    assert sent.width / sent.height == pytest.approx(300 / 240, rel=0.02)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_an_image_is_not_scaled_down_to_where_nothing_is_to_be_seen(make_picture, form):
    image = noise(make_picture, (300, 240), form)
    with pytest.raises(ImageTooLargeError, match=r"--max-image-bytes 500: an image of 300 x 240 pixels"):
        ImagePolicy(max_bytes=500).prepare(image)


def test_the_card_says_every_limit(make_picture):
    assert ImagePolicy(max_side=512).settings() == {
        "max_image_pixels": "none",
        "max_image_side": "512",
        "max_image_bytes": "none",
    }
