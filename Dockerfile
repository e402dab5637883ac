# syntax=docker/dockerfile:1
#
#   docker build --target cpu  -t sensorium:cpu .
#   docker build --target cuda -t sensorium:cuda .

# What changes rarely: the environment with vLLM and everything Sensorium depends on.
FROM python:3.11-slim AS environment
WORKDIR /source
COPY pyproject.toml ./
COPY constraints constraints
COPY scripts/install.py scripts/
COPY src/sensorium/__init__.py src/sensorium/
COPY serving/__init__.py src/sensorium/serving/
COPY serving/mend src/sensorium/serving/mend
ENV PIP_NO_CACHE_DIR=1
RUN python scripts/install.py --venv /opt/sensorium --device cpu --dependencies-only

# What changes often: the project itself, as a wheel.
FROM python:3.11-slim AS wheel
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1
COPY . .
RUN python -m pip wheel --no-deps --wheel-dir /dist .

FROM environment AS project
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    /opt/sensorium/bin/python -m pip install --no-deps --prefix /project /dist/*.whl

FROM python:3.11-slim AS cpu
LABEL org.opencontainers.image.title="Sensorium (CPU)" \
      org.opencontainers.image.description="A multimodal inference server behind the OpenAI API" \
      org.opencontainers.image.licenses="Apache-2.0"
# vLLM's CPU operators are linked against libnuma.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libnuma1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin sensorium \
    && install --directory --owner sensorium --group sensorium /var/lib/sensorium
COPY --from=environment /opt/sensorium /opt/sensorium
COPY --from=project /project /opt/sensorium
ENV PATH=/opt/sensorium/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    GOMP_SPINCOUNT=0 \
    SENSORIUM_HOME=/var/lib/sensorium \
    HF_HOME=/var/lib/sensorium/huggingface \
    VLLM_CACHE_ROOT=/var/lib/sensorium/vllm
USER 10001
WORKDIR /var/lib/sensorium
VOLUME /var/lib/sensorium
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=600s --interval=15s --timeout=5s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["sensorium"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

FROM vllm/vllm-openai:v0.32.0 AS cuda
LABEL org.opencontainers.image.title="Sensorium (CUDA)" \
      org.opencontainers.image.description="A multimodal inference server behind the OpenAI API" \
      org.opencontainers.image.licenses="Apache-2.0"
# The image has vLLM and torch for its CUDA; what it already has is kept as it is.
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    uv pip install --system --no-cache --compile-bytecode /dist/*.whl \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin sensorium \
    && install --directory --owner sensorium --group sensorium /var/lib/sensorium
ENV PYTHONSAFEPATH=1 \
    SENSORIUM_HOME=/var/lib/sensorium \
    HF_HOME=/var/lib/sensorium/huggingface \
    VLLM_CACHE_ROOT=/var/lib/sensorium/vllm
USER 10001
WORKDIR /var/lib/sensorium
VOLUME /var/lib/sensorium
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=600s --interval=15s --timeout=5s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["sensorium"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
