"""Settings as a YAML file: read for `--config`, and left beside each run's results in the same form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import UserError
from orchestrator.options import GROUND_TRUTH, RunOptions
from orchestrator.plan import Plan

SETTINGS_FILE = "config.yaml"
Values = dict[str, Any]


def read_settings(path: Path) -> Values:
    """Read a settings file; names may be spelled with dashes or underscores.

    Raises:
        UserError: if it cannot be read or is not a YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {path}: cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"--config {path}{where}: this is not YAML: {getattr(error, 'problem', error)}."
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"--config {path}: expected settings as `name: value` lines.")
    # A name without a value is a setting that is not given.
    return {str(name).replace("-", "_"): value for name, value in values.items() if value is not None}


def settings_text(options: RunOptions, plan: Plan) -> str:
    """Return the settings as a file for `run --config`, which repeats the run.

    The folder is left out: a repetition has its own. An instruction that came from a file stands there in
    full, so that a later change of that file changes nothing.
    """
    values = options.model_dump(
        mode="json", by_alias=True, exclude={"out", "dry_run", "retry_failed", "instruction_from"}
    )
    values["instruction"] = plan.protocol.instruction
    if options.data != "sample":
        values["data"] = str(Path(options.data).absolute())
    if options.hints not in (None, GROUND_TRUTH):
        values["hints"] = str(Path(options.hints).absolute())
    if options.endpoints:
        values["endpoints"] = str(options.endpoints.absolute())
    return _text(values)


def whole_settings_text(path: Path) -> str:
    """Return a shard's settings without the shard: those of the run that it is a part of.

    Raises:
        UserError: if the file cannot be read.
    """
    return _text({name: value for name, value in read_settings(path).items() if name != "shard"})


def _text(values: Values) -> str:
    lines = {name.replace("_", "-"): value for name, value in values.items() if value not in (None, [])}
    head = "# The settings of this run. `orchestrator run --config THIS_FILE` repeats it.\n"
    return head + yaml.safe_dump(lines, sort_keys=False, allow_unicode=True)
