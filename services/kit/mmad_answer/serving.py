"""`mmad-answer serve FOLDER`: the kit's own options, the model's beside them, and what happens with them.

Every option can stand in the environment as well, as MMAD_ANSWER_<NAME>.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from pathlib import Path
from typing import Any

import click

from mmad_answer import lifecycle
from mmad_answer.environment import versions
from mmad_answer.loading import find_model_class, missing_package
from mmad_answer.model import Model
from mmad_answer.model_options import click_options, environment_variable, make_options
from mmad_answer.server import Settings

_MIB = 2**20


def serve_command(folder: Path) -> click.Command:
    """The command that serves one folder.

    Raises:
        ServiceError: the folder holds no service that can be started.
    """
    own = _own_options(parent=os.getppid())
    model_class = find_model_class(folder)
    of_model = click_options(model_class, taken={option.name or "" for option in own} | {"help"})
    names_of_model = [option.name or "" for option in of_model]

    def serve(**values: Any) -> None:
        options = make_options(model_class, {name: values[name] for name in names_of_model})
        try:
            _serve(folder, model_class(options), values)
        except ModuleNotFoundError as error:
            raise missing_package(error, folder) from None

    return click.Command(
        str(folder),
        callback=serve,
        params=[*of_model, *own],
        help=inspect.getdoc(model_class),
        epilog=f"Every option can stand in the environment: --port as {environment_variable('port')}.",
    )


def _serve(folder: Path, model: Model[Any], values: dict[str, Any]) -> None:
    logging.basicConfig(
        level=values["log_level"].upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings = Settings(
        address=values["listen"] or _address(values["host"], values["port"]),
        max_queue=values["max_queue"],
        batch_size=values["batch_size"],
        batch_wait_seconds=values["batch_wait_ms"] / 1000,
        drain_seconds=values["drain_seconds"],
        max_request_bytes=values["max_request_mib"] * _MIB,
        max_connection_age_seconds=values["max_connection_age_seconds"],
        image_cache_bytes=values["image_cache_mib"] * _MIB,
    )
    asyncio.run(lifecycle.run(model, settings, versions(folder), values["exit_with_parent"]))


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _own_options(parent: int) -> list[click.Option]:
    natural, count, seconds = click.IntRange(min=0), click.IntRange(min=1), click.FloatRange(min=0)
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
        option("listen", str, None, "A gRPC address instead of host and port: unix:///path."),
        option("batch-size", count, None, "Inspections in one batch at most. Default: the model's own."),
        option(
            "batch-wait-ms", seconds, 0.0, "How long a batch waits for more, from its first inspection on."
        ),
        option(
            "max-queue",
            natural,
            defaults.max_queue,
            "Inspections that may wait; more are told to come later.",
        ),
        option("max-request-mib", count, defaults.max_request_bytes // _MIB, "Largest request."),
        option(
            "image-cache-mib",
            natural,
            defaults.image_cache_bytes // _MIB,
            "Memory for decoded templates; 0: none.",
        ),
        option(
            "drain-seconds",
            seconds,
            defaults.drain_seconds,
            "How long work under way may take after SIGTERM.",
        ),
        option(
            "max-connection-age-seconds",
            seconds,
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
