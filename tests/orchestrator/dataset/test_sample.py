import collections
import filecmp
import itertools
import json
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.dataset import masks, sample
from orchestrator.dataset.reading import read
from orchestrator.dataset.sample import pictures, whole
from orchestrator.dataset.sample.defects import Change, difference
from orchestrator.dataset.sample.parts import all_parts
from orchestrator.dataset.sample.photograph import Setup, develop
from orchestrator.dataset.sample.questions import REGIONS
from orchestrator.dataset.sample.surface import Pose, Surface
from orchestrator.errors import DataError
from orchestrator.vocabulary import Dataset, QuestionType, Sample

DEFECTS = [
    pytest.param(part, defect, id=f"{part.product}-{defect.kind}")
    for part in all_parts()
    for defect in part.defects
]


@pytest.fixture(scope="session")
def drawn(sample_folder: Path) -> Dataset:
    return read(sample_folder)


def asked(drawn: Dataset, kind: QuestionType) -> list[tuple[Sample, str, dict[str, str]]]:
    """(sample, the right text, all texts by letter) of each question of a type."""
    return [
        (one, {o.letter: o.text for o in q.options}[q.answer], {o.letter: o.text for o in q.options})
        for one in drawn.samples
        for q in one.questions
        if q.type is kind
    ]


def pixels(drawn: Dataset, path: str) -> np.ndarray:
    return np.asarray(Image.open(Path(drawn.root) / path).convert("RGB"), np.float32)


# ------------------------------------------------------------------------------------------- on disk


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        sample.draw(tmp_path / name, images=2, seed=11)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    _, different, missing = filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", files, shallow=False)
    assert (different, missing) == ([], [])
    assert len(files) == 3 + 16 + 3  # two queries and a mask, eight templates each, three JSON files


def test_another_seed_gives_other_pictures_and_questions(sample_folder: Path, tmp_path: Path) -> None:
    sample.draw(tmp_path / "other", images=1, seed=4)
    template = "Sample-Parts/gear/train/good/000.png"
    assert (sample_folder / template).read_bytes() != (tmp_path / "other" / template).read_bytes()


def test_a_folder_that_holds_the_same_data_set_is_left_as_it_is(sample_folder: Path, drawn: Dataset) -> None:
    before = (sample_folder / "mmad.json").stat().st_mtime_ns
    sample.draw(sample_folder, images=len(drawn.samples), seed=3)
    assert (sample_folder / "mmad.json").stat().st_mtime_ns == before


def test_a_folder_with_other_settings_is_not_drawn_over(sample_folder: Path) -> None:
    with pytest.raises(DataError, match="drawn with other settings"):
        sample.draw(sample_folder, images=3, seed=3)


def test_a_folder_with_other_files_is_not_drawn_over(tmp_path: Path) -> None:
    (tmp_path / "mmad.json").write_text("{}")
    with pytest.raises(DataError, match="holds other files"):
        sample.draw(tmp_path, images=1)
    assert (tmp_path / "mmad.json").read_text() == "{}"


def test_an_empty_folder_is_drawn_into(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    sample.draw(tmp_path / "new", images=1)
    assert len(read(tmp_path / "new").samples) == 1


def waiting_once_for(barrier: threading.Barrier, call):
    """Let each thread's first call come back only when all have made theirs."""
    seen = threading.local()

    def wrapped(*arguments):
        result = call(*arguments)
        if not hasattr(seen, "it"):
            seen.it = barrier.wait(60)
        return result

    return wrapped


def test_drawing_that_is_broken_off_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    def interrupted(picture: pictures.Picture) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample.draw(tmp_path / "new", images=1)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_is_cleared_away(tmp_path: Path) -> None:
    script = "import sys, time, pathlib; from orchestrator.dataset.sample import drawing, draw\n"
    script += "drawing.write_json = lambda path, content: (print(flush=True), time.sleep(600))\n"
    script += "draw(pathlib.Path(sys.argv[1]), images=1)"
    command = [sys.executable, "-c", script, tmp_path / "new"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline()
        killed.kill()
    assert [path.name for path in tmp_path.iterdir()] == [".new.drawing"]
    sample.draw(tmp_path / "new", images=1)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert {path.name for path in (tmp_path / "new").iterdir() if path.is_file()} == {
        "mmad.json",
        "domain_knowledge.json",
        sample.STAMP,
    }


def test_one_of_several_that_want_the_same_draws_it_and_the_others_wait(tmp_path: Path, monkeypatch) -> None:
    begun, filled = threading.Barrier(3), []
    monkeypatch.setattr(whole, "_is_there", waiting_once_for(begun, whole._is_there))

    def fill(partial: Path) -> None:
        filled.append([path.name for path in partial.iterdir()])
        (partial / "half").touch()

    with ThreadPoolExecutor(3) as threads:
        calls = [
            threads.submit(whole.whole_or_nothing, tmp_path / "new", {"seed": 1}, fill) for _ in range(3)
        ]
    assert [call.result() for call in calls] == [None] * 3
    assert filled == [[".lock"]]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"half", sample.STAMP}


def test_a_folder_that_cannot_be_made_is_a_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file"):
        sample.draw(tmp_path / "file" / "data", images=1)


def test_nobody_can_mistake_it_for_mmad(drawn: Dataset) -> None:
    assert {one.dataset for one in drawn.samples} == {"Sample-Parts", "Sample-Surfaces"}


# ------------------------------------------------------------------------------------------ what it holds


def test_it_has_the_kinds_sizes_and_formats_that_it_promises(drawn: Dataset, sample_folder: Path) -> None:
    assert len({one.product for one in drawn.samples}) >= 5
    assert len({one.defect_kind for one in drawn.samples if one.abnormal}) >= 5
    assert sum(one.abnormal for one in drawn.samples) * 2 == len(drawn.samples)
    assert {Path(one.key).suffix for one in drawn.samples} == {".png", ".jpg"}
    assert json.loads((sample_folder / "domain_knowledge.json").read_text()).keys() == {
        "Sample-Parts",
        "Sample-Surfaces",
    }
    for one in drawn.samples:
        with Image.open(sample_folder / one.key) as image:
            assert min(image.size) >= 512
            assert max(image.size) <= 1024
        assert one.defect_kind in drawn.domain_knowledge[one.dataset, one.product]
        assert len(set(one.random_templates)) == 8
        assert set(one.random_templates) == set(one.similar_templates)
        assert all("/train/good/" in path for path in one.random_templates)


def test_every_type_of_question_is_asked(drawn: Dataset) -> None:
    assert {q.type for one in drawn.samples for q in one.questions} == set(QuestionType)


def test_normal_images_have_no_mask_and_no_question_about_a_defect(drawn: Dataset) -> None:
    for one in drawn.samples:
        about_defect = [q for q in one.questions if q.type and q.type.startswith("Defect")]
        assert bool(one.mask) is one.abnormal
        assert len(about_defect) == (4 if one.abnormal else 0)


def test_the_templates_vary_in_pose_and_light(drawn: Dataset) -> None:
    for one in {s.product: s for s in drawn.samples}.values():
        templates = [pixels(drawn, path) for path in one.random_templates[:4]]
        for a, b in itertools.combinations(templates, 2):
            assert np.abs(a - b).mean() > 2


def test_the_first_similar_template_is_more_like_the_query_than_the_last(drawn: Dataset) -> None:
    near, far = [], []
    for one in drawn.samples:
        query = pixels(drawn, one.key)
        near.append(np.abs(query - pixels(drawn, one.similar_templates[0])).mean())
        far.append(np.abs(query - pixels(drawn, one.similar_templates[-1])).mean())
    assert np.mean(near) < np.mean(far)


# ---------------------------------------------------------------------------------------- right answers


def test_detection_is_yes_for_abnormal_images_and_no_for_normal_ones(drawn: Dataset) -> None:
    rows = asked(drawn, QuestionType.ANOMALY_DETECTION)
    assert len(rows) == len(drawn.samples)
    for one, right, options in rows:
        assert right == ("Yes" if one.abnormal else "No")
        assert set(options.values()) == {"Yes", "No"}


def test_localization_names_the_ninth_with_most_of_the_mask_and_wrong_options_have_none_of_it(
    drawn: Dataset,
) -> None:
    regions = list(itertools.chain(*REGIONS))
    for one, right, options in asked(drawn, QuestionType.DEFECT_LOCALIZATION):
        mask = masks.load(masks.resolve(Path(drawn.root), one))
        rows, columns = np.nonzero(mask)
        ninths = (rows * 3 // mask.shape[0]) * 3 + columns * 3 // mask.shape[1]
        inside = np.bincount(ninths, minlength=9)
        assert regions[int(inside.argmax())] == right
        assert all(inside[regions.index(text)] == 0 for text in options.values() if text != right)


def test_defect_and_object_are_named_rightly_and_wrong_options_are_others(drawn: Dataset) -> None:
    parts = {part.product: part for part in all_parts()}
    for one, right, options in asked(drawn, QuestionType.DEFECT_CLASSIFICATION):
        label = {d.kind: d.label for d in parts[one.product].defects}[one.defect_kind]
        assert right == label
        assert len(set(options.values())) == 4
    for one, right, options in asked(drawn, QuestionType.OBJECT_CLASSIFICATION):
        assert right == parts[one.product].noun.capitalize()
        assert len(set(options.values())) == 4


def test_no_question_is_asked_whose_answer_the_defect_changes(tmp_path: Path) -> None:
    """A gear that lost a tooth is not asked for its number of teeth."""
    for part in all_parts():
        for fact in part.facts:
            assert set(fact.unless) <= {defect.kind for defect in part.defects}
    gear = next(part for part in all_parts() if part.product == "gear")
    assert "broken_tooth" in gear.facts[0].unless


def test_facts_that_a_defect_spoils_are_left_out(drawn: Dataset) -> None:
    spoilt = {
        (part.product, kind, fact.question)
        for part in all_parts()
        for fact in part.facts
        for kind in fact.unless
    }
    assert spoilt
    assert not spoilt & {(s.product, s.defect_kind, q.text) for s in drawn.samples for q in s.questions}


def test_each_letter_is_right_equally_often(drawn: Dataset) -> None:
    counts: dict[object, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for one in drawn.samples:
        for q in one.questions:
            detection = q.type is QuestionType.ANOMALY_DETECTION
            counts[(q.type, one.abnormal) if detection else q.type][q.answer] += 1
    for kind, letters in counts.items():
        offered = "AB" if isinstance(kind, tuple) else "ABCD"
        shares = [letters[letter] for letter in offered]
        assert max(shares) - min(shares) <= 1, kind


# ------------------------------------------------------------------------------------------ the defects


def surfaces(part, defect, severity: float, site: int) -> tuple[Surface, Surface]:
    """A flawless and a defective part, small, lying straight."""
    width, height = part.size
    size = (width // 2, height // 2)
    rng = np.random.default_rng(2)
    flawless = Surface.blank(size, Pose())
    part.draw(flawless, np.random.default_rng(1), Change())
    if defect.fault is not None:
        shown = Surface.blank(size, Pose())
        part.draw(shown, np.random.default_rng(1), defect.fault(site, severity, rng))
        return flawless, shown
    shown = flawless.copy()
    defect.mark(shown, *defect.sites[site], severity, rng)
    return flawless, shown


@pytest.mark.parametrize(("part", "defect"), DEFECTS)
def test_a_defect_changes_the_part_where_it_is_and_more_so_when_it_is_severe(part, defect) -> None:
    """A component that is missing is missing: only there severity makes no difference."""
    site = random.Random(part.product).randrange(len(defect.sites))
    hard, obvious = (difference(*surfaces(part, defect, severity, site)) for severity in (0.2, 1.0))
    assert (hard > 0.03).any()
    assert hard.sum() <= obvious.sum()
    if not defect.kind.startswith("missing_"):
        assert hard.sum() < obvious.sum() * 0.8
    surface = Surface.blank((part.size[0] // 2, part.size[1] // 2), Pose())
    x, y = defect.sites[site]
    far = np.hypot(surface.u - x, surface.v - y) > 0.75
    assert not (obvious > 0.03)[far].any()


@pytest.mark.parametrize(("part", "defect"), DEFECTS)
def test_even_a_hard_defect_can_be_seen_in_the_picture(part, defect) -> None:
    flawless, shown = surfaces(part, defect, 0.2, 0)
    setup = Setup(Pose(), azimuth=-2.2, elevation=0.95, exposure=1.0, warmth=0.0)
    before, after = (
        develop(surface, setup, np.random.default_rng(8)).astype(np.float32) for surface in (flawless, shown)
    )
    changed = np.abs(before - after).max(axis=2)
    noise = 0.008 * 255
    assert (changed > 3 * noise).sum() >= 8


@pytest.mark.parametrize("part", all_parts(), ids=lambda part: part.product)
def test_every_defect_has_three_others_of_the_same_part_to_be_told_from(part) -> None:
    assert len({d.label for d in part.defects}) >= 4
    for words in ("label", "description", "effect", "cause"):
        assert len({getattr(d, words) for d in part.defects}) == len(part.defects)
    for fact in part.facts:
        assert len({fact.right, *fact.wrong}) == 4
