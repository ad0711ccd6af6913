"""`mmad-answer serve FOLDER`: the kit's own options, the model's beside them, and what happens with them.

Every option can stand in the environment as well, as MMAD_ANSWER_<NAME>.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import os
from pathlib import Path
from typing import Any

import click

from mmad_answer import lifecycle
from mmad_answer.environment import versions
from mmad_answer.loading import find_model_class, own_code
from mmad_answer.model import Model
from mmad_answer.model_options import click_options, environment_variable, make_options
from mmad_answer.server import Settings

_MIB = 2**20
_DAY_SECONDS = 86_400
_INT32 = 2**31 - 1
"""gRPC counts bytes and milliseconds in 32 bits."""


class _Amount(click.FloatRange):
    """From 0 to `most`. A range alone lets "nan" pass."""

    def __init__(self, most: float) -> None:
        super().__init__(min=0, max=most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


def serve_command(folder: Path) -> click.Command:
    """The command that serves one folder.

    Raises:
        ServiceError: the folder holds no service that can be started.
    """
    own = _own_options(parent=os.getppid())
    model_class = find_model_class(folder)
    with own_code(model_class):
        of_model = click_options(model_class, taken={option.name or "" for option in own} | {"help"})
    names_of_model = [option.name or "" for option in of_model]

    def serve(**values: Any) -> None:
        options = make_options(model_class, {name: values[name] for name in names_of_model})
        logging.basicConfig(
            level=values["log_level"].upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        with own_code(model_class):
            model = model_class(options)
        _serve(folder, model, values)

    return click.Command(
        str(folder),
        callback=serve,
        params=[*of_model, *own],
        help=inspect.getdoc(model_class),
        epilog=f"Every option can stand in the environment: --port as {environment_variable('port')}.",
    )


def _serve(folder: Path, model: Model[Any], values: dict[str, Any]) -> None:
    settings = Settings(
        address=values["listen"] or _address(values["host"], values["port"]),
        max_queue=values["max_queue"],
        batch_size=values["batch_size"],
        batch_wait_seconds=values["batch_wait_ms"] / 1000,
        drain_seconds=values["drain_seconds"],
        max_request_bytes=values["max_request_mib"] * _MIB,
        max_connection_age_seconds=values["max_connection_age_seconds"],
        image_cache_bytes=values["image_cache_mib"] * _MIB,
        pixel_bytes=values["decoded_images_mib"] * _MIB,
        metrics_port=values["metrics_port"],
    )
    asyncio.run(lifecycle.run(model, settings, versions(folder), values["exit_with_parent"]))


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _own_options(parent: int) -> list[click.Option]:
    natural, count = click.IntRange(min=0), click.IntRange(min=1)
    defaults = Settings()

    def option(name: str, kind: Any, default: Any, text: str, **more: Any) -> click.Option:
        return click.Option(
            [f"--{name}"],
            type=kind,
            default=default,
            show_default=default is not None,
            envvar=environment_variable(name.replace("-", "_")),
            help=text,
            **more,
        )

    return [
        option("host", str, "127.0.0.1", "Address to listen on; 0.0.0.0 for all of this machine's."),
        option("port", click.IntRange(0, 65535), 50051, "0 takes a free one."),
        option(
            "metrics-port",
            click.IntRange(0, 65535),
            None,
            "Serve Prometheus metrics there, on the same host; 0 takes a free one. Default: none.",
        ),
        option("listen", str, None, "A gRPC address instead of host and port: unix:///path."),
        option("batch-size", count, None, "Inspections in one batch at most. Default: the model's own."),
        option(
            "batch-wait-ms",
            _Amount(1000 * _DAY_SECONDS),
            0.0,
            "How long a batch waits for more, from its first inspection on.",
        ),
        option(
            "max-queue",
            natural,
            defaults.max_queue,
            "Inspections that may wait; more are told to come later.",
        ),
        option(
            "max-request-mib",
            click.IntRange(1, _INT32 // _MIB),
            defaults.max_request_bytes // _MIB,
            "Largest request.",
        ),
        option(
            "image-cache-mib",
            natural,
            defaults.image_cache_bytes // _MIB,
            "Memory for decoded templates; 0: none.",
        ),
        option(
            "decoded-images-mib",
            count,
            defaults.pixel_bytes // _MIB,
            "Memory for decoded images under way; inspections wait for room in it.",
        ),
        option(
            "drain-seconds",
            _Amount(_DAY_SECONDS),
            defaults.drain_seconds,
            "How long work under way may take after SIGTERM.",
        ),
        option(
            "max-connection-age-seconds",
            _Amount(_INT32 // 1000),
            defaults.max_connection_age_seconds,
            "When connections are renewed, so that callers see new replicas; streams go on. 0: never.",
        ),
        option(
            "exit-with-parent",
            int,
            None,
            "Exit when the process that started this one is gone; =PID says which one that is.",
            is_flag=False,
            flag_value=parent,
            metavar="[=PID]",
        ),
        option(
            "log-level", click.Choice(["debug", "info", "warning", "error"]), "info", "Logs go to stderr."
        ),
    ]
