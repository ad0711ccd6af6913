import pickle

import pytest

from mmad_answer.model import LoadError
from mmad_answer.remote.keys import Key, read_key

SECRET = "sk-secret-0123456789"


def test_a_key_shows_itself_nowhere_but_where_it_is_revealed():
    key = Key(SECRET)
    assert key.reveal() == SECRET
    assert SECRET not in f"{key} {key!r} {[key]} {vars(type(key))}"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_scrubbing_reaches_every_string_of_a_reply():
    echo = {"error": [f"no such key: {SECRET}!", {SECRET: 1}], "code": 401, "none": None}
    assert Key(SECRET).scrub_reply(echo) == {
        "error": ["no such key: [key]!", {"[key]": 1}],
        "code": 401,
        "none": None,
    }


@pytest.mark.parametrize("dummy", ["none", "A", "text", "EMPTY"])
def test_a_dummy_changes_no_reply_and_is_hidden_in_texts_for_people_all_the_same(dummy):
    reply = {"text": f"A: {dummy}", dummy: [dummy]}
    assert Key(dummy).scrub_reply(reply) == reply
    assert Key(dummy).scrub(f"no such key: <{dummy}>").endswith("<[key]>")


def test_a_key_comes_from_the_file_before_the_environment(tmp_path):
    (tmp_path / "key").write_text(f"{SECRET}\n")
    assert read_key(tmp_path / "key", ["A_KEY"], {"A_KEY": "other"}).reveal() == SECRET


def test_the_first_variable_that_is_set_counts():
    environment = {"FIRST": "", "SECOND": "two", "THIRD": "three"}
    assert read_key(None, ["FIRST", "SECOND", "THIRD"], environment).reveal() == "two"
    assert read_key(None, ["OTHER"], environment) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (f"{SECRET}\n{SECRET}".encode(), "is no key"),
        (f"{SECRET} {SECRET}".encode(), "is no key"),
        ("sk-sécret-0123456789".encode(), "is no key"),
        (b"\xff\xfe", "is not a text file"),
    ],
)
def test_what_can_be_no_key_is_named_by_its_place_and_not_shown(tmp_path, content, reason):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(LoadError, match=reason) as refused:
        read_key(tmp_path / "key", [])
    assert str(tmp_path / "key") in str(refused.value)
    assert "cret" not in str(refused.value)


def test_a_missing_key_file_is_said_in_one_line(tmp_path):
    with pytest.raises(LoadError, match=r"--key-file .*missing: No such file or directory"):
        read_key(tmp_path / "missing", [])


def test_a_bad_key_in_the_environment_is_named_by_its_variable():
    with pytest.raises(LoadError, match="the environment variable A_KEY is no key"):
        read_key(None, ["A_KEY"], {"A_KEY": "two words"})
