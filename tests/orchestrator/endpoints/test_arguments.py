"""`NAME=TARGET` and `[NAME=]SERVICE [OPTIONS]`."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.endpoints.arguments import LocalService, parse_endpoint, parse_local
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:50051",
        "gpu-1.site.example:50051",
        "gpu_1:1",
        "[::1]:50051",
        "[fe80::1%eth0]:50051",
        "unix:///run/mmad/qwen.sock",
        "dns:///qwen.models.svc:50051",
        "dns:///[::1]:50051",
    ],
)
def test_targets_of_each_allowed_form_are_taken_as_they_are(target):
    assert parse_endpoint(f"qwen2.5-vl_7b+awq={target}", "--endpoint") == Endpoint(
        "qwen2.5-vl_7b+awq", target, "--endpoint"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("qwen", "write NAME=TARGET, for example"),
        ("127.0.0.1:50051", "Write NAME=127.0.0.1:50051"),
        ("=127.0.0.1:50051", "the name '' will not do"),
        ("a/b=h:1", "letters, digits and .-_+"),
        ("..=h:1", "begins with a letter or digit"),
        ("-a=h:1", "begins with a letter or digit"),
        (f"{'a' * 101}=h:1", "at most 100"),
        ("a=", "is no address"),
        ("a=host", "has no port: write host:PORT"),
        ("a=[::1]", "has no port: write [::1]:PORT"),
        ("a=host:", "is no address"),
        ("a=host:http", "is no address"),
        ("a=host:0", "0 is no port"),
        ("a=host:65536", "65536 is no port"),
        ("a=::1:50051", "an IPv6 address needs brackets: [::1]:50051"),
        ("a=http://host:50051/", "leave http:// out: write host:50051."),
        ("a=grpc://host:50051", "leave grpc:// out"),
        ("a=dns://host:50051", "write dns:///host:50051, with three slashes"),
        ("a=unix://run/x", "write unix:///path"),
        ("a=unix:/run/x", "write unix:///path, with three slashes"),
        ("a=unix:///", "no absolute path"),
        (f"a=unix:///{'x' * 120}", "more than 107 bytes"),
        ("a=ftp://host:1", "is no address: write host:port, unix:///path or dns:///name:port"),
        ("a=host name:1", "is no address"),
        ("a=host:1,host:2", "once for each replica"),
        ("a=[not-ipv6]:1", "is no address"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write_instead(text, words):
    with pytest.raises(EndpointError) as error:
        parse_endpoint(text, "--endpoint")
    assert words in str(error.value)
    assert str(error.value).startswith(f"--endpoint {text}: ")
    assert "\n" not in str(error.value)


@given(st.text(max_size=40) | st.from_regex(r"[a-z.]{1,3}=[a-z\[\]:0-9/.,%]{1,20}", fullmatch=True))
def test_any_text_is_either_an_endpoint_or_a_clear_error(text):
    try:
        endpoint = parse_endpoint(text, "--endpoint")
    except EndpointError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", endpoint.name)
    assert re.fullmatch(r"(unix:///.+|(dns:///)?[^/,]+:\d+)", endpoint.target)


def test_a_local_service_has_a_name_and_options_of_its_own_as_a_shell_would_read_them():
    [plain, named] = parse_local(["chance", "big=qwen_vl --checkpoint '/models/Qwen 7B' --quantization=8bit"])
    assert plain == LocalService("chance", "chance", ())
    assert named == LocalService("big", "qwen_vl", ("--checkpoint", "/models/Qwen 7B", "--quantization=8bit"))


def test_a_local_service_that_is_named_twice_alike_is_one():
    assert len(parse_local(["qwen_vl --checkpoint a", "qwen_vl  --checkpoint a"])) == 1


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["qwen_vl --checkpoint a", "qwen_vl --checkpoint b"], "'NAME=qwen_vl --checkpoint b'"),
        (["qwen_vl --checkpoint 'a"], "cannot be read: No closing quotation"),
        ([""], "the name '' will not do"),
        (["qwen="], "--local qwen=: the service is missing. Write qwen=SERVICE"),
        (["qwen= --checkpoint a"], "the service is missing"),
        (["a/b=qwen_vl"], "letters, digits and .-_+"),
    ],
)
def test_what_is_wrong_with_a_local_service_is_said(texts, words):
    with pytest.raises(EndpointError, match=re.escape(words)):
        parse_local(texts)
