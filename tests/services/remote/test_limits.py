import pytest

from mmad_answer.remote.limits import duration_seconds, rest_seconds, retry_after_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "86400"}, 86_400.0),
        ({"retry-after": "1764000000"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after-ms": "1e12"}, None),
        ({"retry-after": "Wed, 21 Oct 9999 07:28:00 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_milliseconds(headers, seconds):
    assert retry_after_seconds(headers) == seconds


def test_a_date_is_read_against_the_providers_own_clock():
    headers = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:26:30 GMT"}
    assert retry_after_seconds(headers) == 90.0
    assert retry_after_seconds({"retry-after": headers["retry-after"]}) == 0.0, "long past on our clock"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("1s", 1.0),
        ("12.5", 12.5),
        ("2d", 172_800.0),
        ("", None),
        ("tomorrow", None),
        ("1s!", None),
        ("s", None),
    ],
)
def test_durations_are_read_as_openai_writes_them(text, seconds):
    assert duration_seconds(text) == seconds


def test_a_request_that_fits_into_what_remains_need_not_wait():
    headers = {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "60s"}
    headers |= {"x-ratelimit-remaining-tokens": "100", "x-ratelimit-reset-tokens": "60s"}
    assert rest_seconds(headers, tokens=100) == 0.0
    assert rest_seconds({}, tokens=100) == 0.0


def test_without_requests_left_the_next_waits_for_its_part_of_the_reset():
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    assert rest_seconds(headers, tokens=1) == pytest.approx(1.0)
    del headers["x-ratelimit-limit-requests"]
    assert rest_seconds(headers, tokens=1) == 60.0


@pytest.mark.parametrize("reset", ["1764000000", "1e300", "2d", "99999999h"])
def test_a_reset_more_than_a_day_away_is_none(reset):
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    assert rest_seconds(headers, tokens=1) == 0.0


def test_the_wait_for_tokens_is_as_long_as_the_tokens_need_and_never_longer_than_the_reset():
    headers = {
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "200",
        "x-ratelimit-reset-tokens": "8s",
    }
    assert rest_seconds(headers, tokens=600) == pytest.approx(4.0)
    assert rest_seconds(headers, tokens=5000) == 8.0
