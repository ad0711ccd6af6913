"""How often images go through the vision tower: once an inspection, shared templates once for all."""

import itertools
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[3] / "services"
COUNTING = """
import sys
from pathlib import Path
from mmad_answer.loading import find_model_class

class Counting(find_model_class(Path({folder!r}))):
    def load(self):
        super().load()
        model = self._loaded.model
        encode = model.get_image_features

        def counted(**inputs):
            print("an image was encoded", file=sys.stderr, flush=True)
            return encode(**inputs)

        model.get_image_features = counted
"""


@pytest.fixture
def counting(one_of_each, running, requests, tmp_path):
    """Ask the named requests in turn: how many images each had encoded."""

    def ask(names, *options):
        (tmp_path / "service.py").write_text(COUNTING.format(folder=str(SERVICES / one_of_each.service)))
        options = ("--checkpoint", one_of_each.folder, *options)
        counts = [0]
        with running(one_of_each.service, *options, folder=tmp_path) as service:
            for name in names:
                service.ask(requests[name])
                counts.append(service.log.read_text().count("an image was encoded"))
        return [after - before for before, after in itertools.pairwise(counts)]

    return ask


def test_images_are_encoded_once_an_inspection_and_shared_templates_once_for_all(counting):
    names = ["two_shots", "another_query", "another_template", "two_shots"]
    assert counting(names) == [3, 1, 2, 1]  # queries are not kept: they do not come again


def test_without_room_for_features_each_inspection_has_all_its_images_encoded(counting):
    names = ["two_shots", "another_query", "thoughts_in_each_answer", "history", "one_analysis"]
    assert counting(names, "--feature-cache-mib", "0") == [3, 3, 2, 2, 2]
