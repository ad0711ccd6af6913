# A service on transformers with what makes and loads a tiny checkpoint on a machine without a GPU; for tests.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
USER root
ARG SERVICE
COPY declare_torchvision_operators.py tiny ${SERVICE}/tiny /tiny/
RUN python /tiny/declare_torchvision_operators.py
USER 10001:10001
