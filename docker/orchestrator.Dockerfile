# Built from the repository's root: docker build -f docker/orchestrator.Dockerfile -t mmad-orchestrator .
# --build-arg EXTRAS=frames adds pandas and Parquet, EXTRAS=hub `data download`, EXTRAS=frames,hub both.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# What installs, and is in no image. What hatchling needs is not pinned: it packs plain Python, whatever its version.
FROM ${BASE_IMAGE} AS tools
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip install --no-cache-dir hatchling==1.33.0

# What is needed, by itself: pyproject.toml changes for many reasons, and this list seldom.
FROM tools AS needed
ARG EXTRAS=
COPY pyproject.toml /orchestrator.toml
COPY services/kit/pyproject.toml /kit.toml
COPY docker/needed.py /needed.py
RUN python3 /needed.py /kit.toml /orchestrator.toml "$EXTRAS" > /needed.txt

# The environment, without any code of ours: a layer that lasts until what is needed changes.
FROM tools AS environment
RUN python3 -m venv --without-pip /opt/venv
COPY constraints.txt /
COPY --from=needed /needed.txt /
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir -c /constraints.txt -r /needed.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} +

# The orchestrator and the kit alone, in an environment at the same place.
FROM tools AS code
RUN python3 -m venv --without-pip /opt/venv
COPY services/kit /src/services/kit
COPY pyproject.toml README.md LICENSE /src/
COPY orchestrator /src/orchestrator
RUN /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel /src /src/services/kit \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --no-index /wheel/*.whl

FROM ${BASE_IMAGE}
COPY --from=environment /opt/venv /opt/venv
COPY --from=code /opt/venv /opt/venv
# A volume that is mounted there for the first time takes the folder's mode: whoever the user is, may write.
RUN install -d -o 10001 -g 10001 /work /data && install -d -o 10001 -g 10001 -m 1777 /work/runs /work/data
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=orchestrator
WORKDIR /work
USER 10001:10001
STOPSIGNAL SIGINT
ENTRYPOINT ["orchestrator"]
CMD ["--help"]
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="mmad-orchestrator" org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" org.opencontainers.image.source="$SOURCE" \
    org.opencontainers.image.licenses="Apache-2.0"
