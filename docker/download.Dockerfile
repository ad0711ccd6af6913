# Built from the repository's root: docker build -f docker/download.Dockerfile -t mmad-download .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS environment
RUN python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/venv
COPY constraints.txt /
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir -c /constraints.txt huggingface_hub==2.4.0

FROM ${BASE_IMAGE}
COPY --from=environment /opt/venv /opt/venv
COPY docker/download.py services/kit/mmad_answer/hf/files.py /app/
# A volume that is mounted there for the first time belongs to whom the folder belongs.
RUN chmod -R a+rX /app && install -d -o 10001 -g 10001 /models
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=download \
    HF_HUB_CACHE=/models HF_HUB_DISABLE_TELEMETRY=1
USER 10001:10001
STOPSIGNAL SIGINT
ENTRYPOINT ["python", "/app/download.py"]
CMD ["--help"]
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="mmad-download" org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" org.opencontainers.image.source="$SOURCE" \
    org.opencontainers.image.licenses="Apache-2.0"
