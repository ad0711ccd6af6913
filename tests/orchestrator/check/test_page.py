"""docs/check.md lists the promises that there are, and the options that the command has."""

import pathlib
import re

from orchestrator.check.registry import GROUPS, all_promises

PAGE = (pathlib.Path(__file__).parents[3] / "docs" / "check.md").read_text()


def test_the_page_lists_every_promise_in_its_order_and_words():
    listed = re.findall(r"^\| `(\w+\.\w+)` \| (.+) \|$", PAGE, flags=re.M)
    assert listed == [(promise.id, promise.title) for promise in all_promises()]


def test_the_page_has_every_group():
    assert re.findall(r"^### (.+)$", PAGE, flags=re.M) == list(GROUPS.values())


def test_every_title_fits_its_line():
    assert all(len(promise.title) <= 60 for promise in all_promises())


def test_the_page_lists_every_option(cli):
    options = set(re.findall(r"--[a-z]+", cli("check", "--help").out)) - {"--help"}
    assert set(re.findall(r"^\| `(--[a-z]+)", PAGE, flags=re.M)) == options
