"""The image: what discovery needs of it, and what a hardened site will ask of it.

Without the labels nobody finds the container, so they are needed. A user or a health check that is missing
can be given in a compose file or a pod's security context: these are warnings.
"""

from __future__ import annotations

import asyncio

from orchestrator.check import BrokenError, DoubtError, NotTriedError, Promises
from orchestrator.check.service import Image, Service
from orchestrator.endpoints.discovery.labels import CONTRACT_LABEL, CONTRACT_VERSION, PORT_LABEL, port_of

promises = Promises("image")
_HEALTH_SECONDS = 60.0


def _image(service: Service) -> Image:
    if service.image is None:
        raise NotTriedError("an address was given, and no image")
    return service.image


@promises.add("labels", "It has the labels by which it is found")
async def labels(service: Service) -> str:
    image = _image(service)
    contract, port = image.labels.get(CONTRACT_LABEL, ""), image.labels.get(PORT_LABEL, "")
    if contract != CONTRACT_VERSION or port_of(image.labels) is None:
        raise BrokenError(
            f"{CONTRACT_LABEL}={CONTRACT_VERSION} and {PORT_LABEL}=PORT",
            f"{CONTRACT_LABEL}={contract or '(none)'}, {PORT_LABEL}={port or '(none)'}",
            f'in the Dockerfile: LABEL {CONTRACT_LABEL}="{CONTRACT_VERSION}" {PORT_LABEL}="50051"',
        )
    return f"port {port}"


@promises.add("user", "Its user is a number, and not root")
async def user(service: Service) -> str:
    name = _image(service).user
    number = name.partition(":")[0]
    if not number.isdecimal() or int(number) == 0:
        raise DoubtError(
            "a numeric user other than 0",
            f"{name!r}" if name else "none, so it runs as root",
            "in the Dockerfile: USER 10001:10001 (Kubernetes cannot tell that a name is not root)",
        )
    return name


@promises.add("healthcheck", "It has a health check that needs no shell")
async def healthcheck(service: Service) -> str:
    check = _image(service).healthcheck
    if not check or check[0] != "CMD":
        raise DoubtError(
            'HEALTHCHECK CMD ["program", "argument"]',
            f"a shell's command: {check[-1]}" if check else "none",
            "give it one in exec form that asks grpc.health.v1; else `compose up --wait` waits for nothing",
        )
    return " ".join(check[1:])


@promises.add("healthy", "Its health check finds it healthy")
async def healthy(service: Service) -> str:
    image = _image(service)
    if not image.healthcheck:
        raise NotTriedError("the image has no health check")
    until = asyncio.get_running_loop().time() + _HEALTH_SECONDS
    while (state := await asyncio.to_thread(image.container_health)) != "healthy":
        if state == "unhealthy" or asyncio.get_running_loop().time() > until:
            raise BrokenError(
                f"healthy within {_HEALTH_SECONDS:g} s of being ready",
                state or "nothing",
                "run the health check by hand: docker exec CONTAINER ...",
            )
        await asyncio.sleep(0.5)
    return ""
