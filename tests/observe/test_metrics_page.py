"""docs/metrics.md lists what a service exports: all of it, and nothing else."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_lists_every_metric_with_its_type_and_labels(exported):
    listed = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(
            r"^\| `(\w+)` \| (\w+) \|(.*?)\|", PAGE.read_text(), re.MULTILINE
        )
    }
    found = {
        family.name + "_total" * (family.type == "counter"): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"model", "le"},
        )
        for family in exported
        if family.name.startswith("mmad_answer_")
    }
    assert listed == found
