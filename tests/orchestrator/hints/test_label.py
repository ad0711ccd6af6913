"""What a run with hints is called."""

from orchestrator.hints.label import label, sentence


def test_a_run_without_hints_has_no_label():
    assert label({}) == sentence({}) == ""


def test_the_ground_truth_makes_an_oracle():
    hints = {"source": "ground-truth", "style": "box"}
    assert label(hints) == "oracle"
    assert sentence(hints).startswith("ORACLE")
    assert "box" in sentence(hints)


def test_a_detectors_hints_are_named_without_being_an_oracle():
    hints = {"source": "maps", "style": "heatmap"}
    assert label(hints) == "hints"
    assert "anomaly detector" in sentence(hints)
    assert "ORACLE" not in sentence(hints)
