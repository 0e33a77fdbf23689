# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
# Every requirement is in the lock with its hash: pip looks for nothing else and builds nothing.
RUN python -m venv /opt/gateway \
    && /opt/gateway/bin/pip --no-cache-dir --disable-pip-version-check install \
        --no-deps --only-binary=:all: --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY sql sql
RUN /opt/gateway/bin/pip --no-cache-dir --disable-pip-version-check install \
        --no-deps --no-build-isolation . \
    && /opt/gateway/bin/pip --disable-pip-version-check check \
    && NPM_CONFIG_CACHE=/tmp/npm /opt/gateway/bin/gateway providers install baileys \
    && rm -rf /tmp/npm \
    && /opt/gateway/bin/pip uninstall --yes pip

FROM python:3.13-slim
# What neonize looks for when it is imported.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libmagic1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin gateway \
    && install --directory --owner gateway --group gateway --mode 0700 /data
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATEWAY_ENV=production \
    GATEWAY_HOST=0.0.0.0 \
    GATEWAY_DATA_DIR=/data
USER gateway
VOLUME /data
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('GATEWAY_PORT', '8080')}/health\", timeout=4)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
