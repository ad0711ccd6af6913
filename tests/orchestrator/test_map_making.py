"""`orchestrator hints`: maps of a data set's images, made by a detector behind the contract."""

import asyncio
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

from orchestrator import map_making
from orchestrator.errors import Interrupted
from orchestrator.reports.terminal import Screen

ROOT = pathlib.Path(__file__).parents[2]
DETECTOR = pathlib.Path(__file__).parent / "detector"


@pytest.fixture(scope="session")
def template_diff(serve_forever):
    """The address of a template_diff service."""
    return serve_forever(ROOT / "services" / "template_diff")


@pytest.fixture
def hints(cli, drawn, template_diff, tmp_path):
    """Have template_diff make maps of the small data set, into `tmp_path/maps`."""

    def call(*arguments, who=f"td={template_diff}", data=drawn, out=tmp_path / "maps"):
        return cli("hints", who, *(("--data", data) if data else ()), "--out", out, *arguments)

    return call


def files(folder):
    return {p.relative_to(folder): p.stat().st_mtime_ns for p in folder.rglob("*.png")}


def test_every_image_gets_its_map_at_its_own_path(hints, drawn, tmp_path):
    result = hints("--shots", 2)
    assert result.code == 0, result.err
    assert "12 maps" in result.out
    for key in json.loads((drawn / "mmad.json").read_text()):
        with PIL.Image.open((tmp_path / "maps" / key).with_suffix(".png")) as made:
            assert made.mode == "I;16"
            with PIL.Image.open(drawn / key) as image:
                assert made.width / made.height == pytest.approx(image.width / image.height, abs=0.01)
    assert not list((tmp_path / "maps").rglob(".*"))  # no leftovers


def test_the_maps_are_what_a_run_takes_for_hints(hints, ask, tmp_path):
    hints("--shots", 4)
    result = ask("--hints", tmp_path / "maps", "--hint-style", "heatmap")
    assert result.code == 0, result.err
    assert "missing" not in result.err


def test_the_same_service_and_data_give_the_same_bytes(hints, tmp_path):
    for name in ("one", "two"):
        assert hints("--limit", 3, out=tmp_path / name).code == 0
    for path in files(tmp_path / "one"):
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_maps_that_are_there_are_kept_and_the_others_made(hints, tmp_path):
    hints("--limit", 4)
    before = files(tmp_path / "maps")
    lost = next(iter(before))
    (tmp_path / "maps" / lost).unlink()
    result = hints()
    assert result.code == 0
    assert "12 maps" in result.out
    after = files(tmp_path / "maps")
    assert len(after) == 12
    assert all(after[path] == when for path, when in before.items() if path != lost)


def test_maps_made_otherwise_do_not_go_into_the_same_folder(hints, own_data):
    assert hints("--limit", 2, "--shots", 2).code == 0
    result = hints("--limit", 2, "--shots", 3)
    assert result.code == 2
    assert "shots: 2 there, 3 now" in result.err
    (own_data / "domain_knowledge.json").write_text("{}")
    result = hints("--limit", 2, "--shots", 2, data=own_data)
    assert result.code == 2
    assert "data.digest" in result.err
    assert hints("--limit", 2, "--shots", 2).code == 0


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".npy"])
def test_a_folder_with_maps_of_unknown_origin_is_refused_and_left_alone(hints, drawn, tmp_path, suffix):
    """The scale is taken over all maps, so that one for an image that is not asked about counts as well."""
    key = list(json.loads((drawn / "mmad.json").read_text()))[-1]
    foreign = (tmp_path / "maps" / key).with_suffix(suffix)
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"of another detector")
    result = hints("--limit", 1)
    assert result.code == 2
    assert f"{foreign} is there already, and there is no maps.json" in result.err
    assert not (tmp_path / "maps" / "maps.json").exists()
    assert [p for p in (tmp_path / "maps").rglob("*") if p.suffix] == [foreign]


def test_a_model_that_gives_no_maps_is_refused(hints, chance, tmp_path):
    result = hints(who=f"chance={chance}")
    assert result.code == 2
    assert "chance: it gives no anomaly maps" in result.err
    assert not list((tmp_path / "maps").rglob("*.png"))


def test_a_local_service_is_started_and_ended(hints, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = hints("--limit", 2, who="template_diff")
    assert result.code == 0, result.err
    assert "drain" in (tmp_path / "maps" / "services" / "template_diff.log").read_text()


def test_an_unknown_service_is_told_with_those_that_there_are(hints, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = hints(who="template_dif")
    assert result.code == 2
    assert "template_diff" in result.err


def test_of_a_run_the_model_that_can_is_asked_about_its_data_with_its_templates(
    hints, cli, drawn, chance, template_diff, tmp_path
):
    run = cli(
        "run", "--data", drawn, "--endpoint", f"chance={chance}", "--endpoint", f"td={template_diff}",
        "--shots", 3, "--limit", 5, "--cot", "question", "--out", tmp_path / "run",
    )  # fmt: skip
    assert run.code == 0, run.err
    result = hints(who=tmp_path / "run", data=None)
    assert result.code == 0, result.err
    assert "5 maps" in result.out
    assert json.loads((tmp_path / "maps" / "maps.json").read_text())["shots"] == 3
    elsewhere = hints("--endpoint", f"td={template_diff}", who=tmp_path / "run", data=None)
    assert elsewhere.code == 0, elsewhere.err


def test_a_folder_that_holds_no_run_is_not_taken_for_a_service(hints, tmp_path):
    result = hints(who=tmp_path / "run", data=None)
    assert result.code == 2
    assert "holds no run" in result.err


def test_a_run_without_a_detector_is_refused_by_name(hints, ask, tmp_path):
    ask("--limit", 2)
    result = hints(who=tmp_path / "run", data=None)
    assert result.code == 2
    assert "no model of this run can make anomaly maps (chance)" in result.err


def test_an_image_without_a_map_is_named_and_asked_again_the_next_time(hints, own_data, tmp_path):
    key = next(iter(json.loads((own_data / "mmad.json").read_text())))
    (own_data / key).rename(own_data / "aside")
    result = hints(data=own_data)
    assert result.code == 3
    assert "11 maps" in result.out
    assert f"failed: {key}: unreadable image {key}: No such file" in result.out
    (own_data / "aside").rename(own_data / key)
    result = hints(data=own_data)
    assert result.code == 0
    assert "12 maps" in result.out


def test_without_templates_the_service_makes_no_map_and_each_image_says_so(hints):
    result = hints("--shots", 0)
    assert result.code == 3
    assert "no map came" in result.out
    assert "0 maps" in result.out
    assert "... and 7 more" in result.out


def test_what_is_no_map_is_not_written(hints, serve_forever, tmp_path):
    target = serve_forever(DETECTOR)
    result = hints("--limit", 2, who=f"odd={target}")
    assert result.code == 3
    assert "what came is no map" in result.out
    assert not list((tmp_path / "maps").rglob("*.png"))


def test_a_second_process_on_the_folder_is_refused(hints, tmp_path):
    from orchestrator.runfolder import locked

    with locked(tmp_path / "maps"):
        result = hints()
    assert result.code == 2
    assert "another orchestrator" in result.err


def test_an_interrupted_command_goes_on_where_it_stopped(drawn, serve_forever, tmp_path, cli):
    """Whatever the moment, what is there is whole, and the same command makes the rest."""
    target = serve_forever(DETECTOR, "--seconds", "0.5", "--sound")
    command = ["hints", f"slow={target}", "--data", str(drawn), "--out", str(tmp_path / "maps")]
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *command], stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 60
        while not files(tmp_path / "maps") and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    before = files(tmp_path / "maps")
    assert 0 < len(before) < 12
    for path in before:
        assert np.asarray(PIL.Image.open(tmp_path / "maps" / path)).any()
    result = cli(*command)
    assert result.code == 0, result.err
    after = files(tmp_path / "maps")
    assert len(after) == 12
    assert before.items() <= after.items()


def test_an_interruption_before_the_asking_is_not_lost(drawn, template_diff, tmp_path, monkeypatch):
    """In a notebook it comes from another thread, also while a service is still being reached."""

    def interrupted_at_once(work, interrupt):
        interrupt()
        return asyncio.run(work)

    monkeypatch.setattr(map_making, "run_loop", interrupted_at_once)
    options = map_making.settings(f"td={template_diff}", {"data": str(drawn)})
    with pytest.raises(Interrupted, match="the same command goes on"):
        map_making.make_maps(options, tmp_path / "maps", Screen(quiet=True))
    assert not files(tmp_path / "maps")


def test_queries_that_would_share_a_map_are_refused(hints, own_data):
    entries = json.loads((own_data / "mmad.json").read_text())
    key = next(iter(entries))
    twin = pathlib.PurePosixPath(key).with_suffix(".bmp").as_posix()
    shutil.copy(own_data / key, own_data / twin)
    entries[twin] = entries[key]
    (own_data / "mmad.json").write_text(json.dumps(entries))
    result = hints(data=own_data)
    assert result.code == 2
    assert "at the same place" in result.err
