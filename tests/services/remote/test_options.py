import pytest


@pytest.mark.parametrize(
    "address",
    [
        "api.openai.com/v1",
        "ftp://x/v1",
        "http://",
        "http://x:port/v1",
        "http://x:99999/v1",
        "http://[::1/v1",
        "http://x\x01/v1",
        "http://x\n/v1",
        "http://x y/v1",
        "",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(options, address):
    with pytest.raises(ValueError, match="is no address of a web API: https://api"):
        options(base_url=address)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:secret@x/v1",
        "http://secret@x/v1",
        "http://x/v1?key=secret",
        "http://x/v1#secret",
        "x/v1?api-key=secret",
        "https://user:secret@x:port/v1",
        "ftp://user:secret@x/v1",
        "https://[secret@x/v1",
    ],
)
def test_an_address_that_holds_a_secret_is_refused_and_not_repeated(options, address):
    with pytest.raises(ValueError, match="keys come from --key-file or the environment") as refused:
        options(base_url=address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 0),
        ("attempts", 0),
        ("max_new_tokens", 0),
        ("max_image_side", -1),
        ("timeout_seconds", 0.0),
        ("timeout_seconds", float("nan")),
        ("max_wait_seconds", float("inf")),
    ],
)
def test_numbers_out_of_range_are_refused_by_the_options_name(options, name, value):
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} must be"):
        options(**{name: value})


def test_an_empty_model_is_refused(options):
    with pytest.raises(ValueError, match="--model is empty"):
        options(model=" ")
