import io
import struct
import zlib

import grpc
import PIL.Image
import PIL.PngImagePlugin
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmad_answer import images
from mmad_answer.images import BrokenImageError, decode, inspect, read_header
from mmad_answer.refusal import RefusalError

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}


def png_that_declares(width, height):
    """A PNG of a few bytes with a header of any size."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def png_with_text(text_bytes):
    """A whole PNG with a text chunk before its pixels that is compressed to next to nothing."""
    buffer = io.BytesIO()
    info = PIL.PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * text_bytes, zip=True)
    PIL.Image.new("RGB", (8, 6)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def pixels_of(content):
    return decode(content, read_header(content))


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_told_by_its_content_and_decoded_to_rgb(encoded, format_):
    content = encoded(size=(40, 30), format=format_, colour=(200, 60, 20))
    header = read_header(content)
    assert (header.format, header.media_type) == (format_, FORMATS[format_])
    assert (header.width, header.height) == (40, 30)
    picture = decode(content, header)
    assert (picture.mode, picture.size) == ("RGB", (40, 30))
    assert picture.getpixel((20, 15)) == pytest.approx((200, 60, 20), abs=6)


@pytest.mark.parametrize("content", [b"", b"hello, I am no image", b"GIF89a" + b"\x00" * 40, b"%PDF-1.7"])
def test_what_is_no_image_is_refused_without_decoding(content):
    with pytest.raises(BrokenImageError, match=r"is empty|is not an image"):
        read_header(content)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_truncated_file_is_refused_and_called_so(encoded, format_):
    content = encoded(size=(300, 300), format=format_, colour=(9, 80, 200))
    cut = content[: len(content) // 2]
    with pytest.raises(BrokenImageError, match="truncated"):
        pixels_of(cut)


@pytest.mark.parametrize(
    ("format_", "cut"), [("PNG", 8), ("PNG", 12), ("PNG", 20), ("PNG", 40), ("JPEG", 2), ("JPEG", 20)]
)
def test_a_file_without_its_end_is_refused(encoded, format_, cut):
    content = encoded(size=(300, 300), format=format_, colour=(9, 80, 200))
    with pytest.raises(BrokenImageError, match="truncated"):
        pixels_of(content[:-cut])


@pytest.mark.parametrize("format_", FORMATS)
def test_what_stands_behind_the_end_of_a_file_does_not_matter(encoded, format_):
    content = encoded(size=(300, 300), format=format_, colour=(9, 80, 200))
    assert pixels_of(content + b"what a camera adds").tobytes() == pixels_of(content).tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("keep", [9, 20, 33])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_cut_in_its_header_is_refused(encoded, format_, keep):
    with pytest.raises(BrokenImageError):
        pixels_of(encoded(size=(300, 300), format=format_)[:keep])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (10_000, 9_000), (2_000_000_000, 1)])
def test_a_decompression_bomb_is_refused_by_its_header(width, height):
    with pytest.raises(BrokenImageError, match="bomb"):
        read_header(png_that_declares(width, height))


def test_a_header_is_read_without_decompressing_what_stands_before_the_pixels(monkeypatch):
    content = png_with_text(100_000)

    def decompress(*arguments):
        raise AssertionError("decompressed a text chunk")

    monkeypatch.setattr(PIL.PngImagePlugin, "_safe_zlib_decompress", decompress)
    header = read_header(content)
    assert (header.width, header.height) == (8, 6)


def test_many_large_images_are_a_bomb_together():
    one = png_that_declares(9_000, 9_000)
    inspect([one] * 4)
    with pytest.raises(RefusalError, match="images: 405,000,000 pixels in all"):
        inspect([one] * 5)


def test_every_broken_image_is_named_with_its_place_and_reason(encoded):
    with pytest.raises(RefusalError) as refused:
        inspect([encoded(), b"no", encoded(), png_that_declares(10**5, 10**5)])
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    (details,) = refused.value.details
    assert [each.field for each in details.field_violations] == ["images[1].content", "images[3].content"]
    assert "not an image" in details.field_violations[0].description
    assert "bomb" in details.field_violations[1].description


def test_exif_orientation_is_applied():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shot with the camera turned: to be shown rotated by 90 degrees clockwise
    picture = PIL.Image.new("RGB", (40, 20), "black")
    picture.paste((255, 255, 255), (0, 0, 20, 20))  # its left half is white
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif, quality=95)
    upright = pixels_of(buffer.getvalue())
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 5))[0] > 240  # and is on top then
    assert upright.getpixel((10, 35))[0] < 15


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
@pytest.mark.parametrize(("value", "shown"), [(0, 0), (255, 0), (256, 1), (32768, 128), (65535, 255)])
def test_16_bit_grey_keeps_its_high_byte(format_, value, shown):
    picture = PIL.Image.frombytes("I;16", (4, 4), struct.pack("<H", value) * 16)
    buffer = io.BytesIO()
    picture.save(buffer, format_)
    assert pixels_of(buffer.getvalue()).getpixel((1, 1)) == (shown,) * 3


def test_transparency_is_laid_on_white(encoded):
    assert pixels_of(encoded(mode="RGBA", colour=(255, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
    assert pixels_of(encoded(mode="RGBA", colour=(255, 0, 0, 255))).getpixel((0, 0)) == (255, 0, 0)
    half = pixels_of(encoded(mode="LA", colour=(0, 128))).getpixel((0, 0))
    assert half == pytest.approx((127, 127, 127), abs=2)


def test_palettes_are_looked_up_with_and_without_transparency(encoded):
    picture = PIL.Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    for save, shown in [({}, (10, 200, 30)), ({"transparency": 1}, (255, 255, 255))]:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", **save)
        assert pixels_of(buffer.getvalue()).getpixel((3, 3)) == shown


@pytest.mark.parametrize(("mode", "colour"), [("1", 1), ("L", 255), ("CMYK", (0, 0, 0, 0))])
def test_other_kinds_of_pixels_become_rgb(encoded, mode, colour):
    format_ = "TIFF" if mode == "CMYK" else "PNG"
    assert pixels_of(encoded(mode=mode, colour=colour, format=format_)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_32_bit_pixels_are_refused_as_their_white_is_not_defined(encoded, mode):
    with pytest.raises(BrokenImageError, match="32-bit"):
        pixels_of(encoded(mode=mode, format="TIFF"))


@pytest.mark.filterwarnings("ignore")  # Pillow comments on what is odd in a damaged file
@pytest.mark.parametrize("format_", FORMATS)
@given(damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_a_damaged_file_is_either_refused_or_read_never_anything_else(encoded, format_, damage):
    content = bytearray(encoded(size=(40, 30), format=format_, colour=(9, 80, 200)))
    for place, value in damage:
        content[int(place * min(len(content) - 1, 400))] = value
    try:
        picture = pixels_of(bytes(content))
    except BrokenImageError:
        return
    assert picture.mode == "RGB"


def test_the_limit_is_pillows_so_that_both_judge_alike():
    assert images.MAX_PIXELS == PIL.Image.MAX_IMAGE_PIXELS
