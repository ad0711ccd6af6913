"""A stream on which nothing is said, under the pings with which the orchestrator notices hung servers."""

from __future__ import annotations

import asyncio
import contextlib

from orchestrator.check import BrokenError, Promises
from orchestrator.check.service import Service
from orchestrator.dispatch.faults import CallError

promises = Promises("silence")


@promises.add("stream", "A silent stream survives the pings", long=True, beside=True)
async def stream(service: Service) -> str:
    seconds, ping_seconds = service.settings.silence_seconds, service.settings.ping_seconds
    client = service.connect()
    expected = f"a health Watch that stays open for {seconds:g} s, with a ping every {ping_seconds:g} s"
    started = asyncio.get_running_loop().time()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), contextlib.aclosing(service.watch(client)) as states:
                async for _ in states:
                    pass
            raise BrokenError(expected, "the stream ended", "keep Watch open: it has no end")
        await client.get_model(10.0)
    except CallError as error:
        after = asyncio.get_running_loop().time() - started
        advice = (
            "serve grpc.health.v1 whole: Watch belongs to it"
            if error.code == "UNIMPLEMENTED"
            else "let the server take a ping every 2 s, with or without data under way (in gRPC's core: "
            "grpc.http2.min_ping_interval_without_data_ms 1000 and max_ping_strikes 0; in Go: an "
            "EnforcementPolicy with MinTime 1 s)"
        )
        raise BrokenError(expected, f"after {after:.0f} s: {error}", advice) from None
    finally:
        await client.close()
    return f"{seconds:g} s, a ping every {ping_seconds:g} s"
