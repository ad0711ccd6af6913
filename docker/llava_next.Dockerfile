# Built from the repository's root: docker build -f docker/llava_next.Dockerfile -t mmad-answer/llava_next .
# All services' Dockerfiles are alike up to the service's own code, so that equal requirements share one layer.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# What installs, and is in no image. What hatchling needs is not pinned: it packs plain Python, whatever its version.
FROM ${BASE_IMAGE} AS tools
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip install --no-cache-dir hatchling==1.33.0

# What the kit needs, by itself: its pyproject.toml changes for many reasons, and this list seldom.
FROM tools AS needed
COPY services/kit/pyproject.toml docker/needed.py /
RUN python3 /needed.py /pyproject.toml "" > /kit.txt

# The environment, without any code of ours: a layer that lasts until what is needed changes.
FROM tools AS environment
RUN python3 -m venv --without-pip /opt/venv
COPY services/llava_next/requirements.txt /
# torch comes first and alone: where pip finds a CPU build of that version, it takes that one.
RUN grep '^torch==' /requirements.txt > /torch.txt \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir -r /torch.txt
COPY --from=needed /kit.txt /
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir -r /kit.txt -r /requirements.txt

# The kit alone, in an environment at the same place, and the service.
FROM tools AS code
RUN python3 -m venv --without-pip /opt/venv
COPY services/kit /kit
RUN /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel /kit \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --no-index /wheel/*.whl
COPY services/llava_next /service
RUN chmod -R a+rX /service

FROM ${BASE_IMAGE}
COPY --from=environment /opt/venv /opt/venv
# A volume that is mounted there for the first time belongs to whom the folder belongs.
RUN install -d -o 10001 -g 10001 /models
COPY --from=code /opt/venv /opt/venv
COPY --from=code /service /service
# Whoever runs the container has no home, and can be kept from writing anywhere but to /tmp.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=answer \
    MMAD_ANSWER_HOST=0.0.0.0 MMAD_ANSWER_PORT=50051 MMAD_ANSWER_METRICS_PORT=9464 \
    HF_HUB_CACHE=/models HF_HUB_OFFLINE=1
EXPOSE 50051 9464
USER 10001:10001
STOPSIGNAL SIGTERM
# Large weights take their time. A service that cannot load them ends, so nobody waits in vain.
HEALTHCHECK --interval=5s --timeout=6s --start-period=1h CMD ["mmad-answer", "health"]
ENTRYPOINT ["mmad-answer", "serve", "/service"]
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="mmad-answer/llava_next" org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" org.opencontainers.image.source="$SOURCE" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.mmad.answer.contract="v1" org.mmad.answer.port="50051"
