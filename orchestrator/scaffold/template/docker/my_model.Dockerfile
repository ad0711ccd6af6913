# Built from the repository's root: docker build -f docker/my_model.Dockerfile -t mmad-answer/my_model .
# All services' Dockerfiles are alike up to the service's own code, so that equal requirements share one layer.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# The kit as a wheel: made where its build tool may be, installed where it is not.
FROM ${BASE_IMAGE} AS kit
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir hatchling==1.33.0
COPY services/kit /src
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel /src

# The environment, without any code of ours: a layer that lasts until what is needed changes.
FROM ${BASE_IMAGE} AS environment
RUN python3 -m venv /opt/venv
COPY services/kit/pyproject.toml /kit.toml
RUN python3 -c "import tomllib; print(*tomllib.load(open('/kit.toml', 'rb'))['project']['dependencies'], sep='\n')" > /kit.txt
COPY constraints.txt services/my_model/requirements.txt /
RUN /opt/venv/bin/pip install --no-cache-dir -c /constraints.txt -r /kit.txt -r /requirements.txt

FROM ${BASE_IMAGE}
COPY --from=environment /opt/venv /opt/venv
COPY --from=kit /wheel /wheel
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl
COPY services/my_model /service
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MMAD_ANSWER_HOST=0.0.0.0 MMAD_ANSWER_PORT=50051
LABEL org.mmad.answer.contract="v1" org.mmad.answer.port="50051"
EXPOSE 50051
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s CMD ["mmad-answer", "health"]
ENTRYPOINT ["mmad-answer", "serve", "/service"]
