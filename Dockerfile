# The server in one image. Build it with `docker build -t rowferry .`, or start it with its databases
# by `docker compose up`.

FROM python:3.11-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/rowferry
COPY requirements.lock ./
RUN /opt/rowferry/bin/pip install --no-cache-dir --require-hashes --prefer-binary -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/rowferry/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Rowferry" \
      org.opencontainers.image.description="Moves tables between databases and files, over a REST API" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 rowferry \
    && useradd --uid 10001 --gid rowferry --no-create-home --home-dir /data rowferry \
    && mkdir -p /data/state /data/imports /data/exports \
    && chown -R rowferry:rowferry /data
COPY --from=build /opt/rowferry /opt/rowferry
ENV PATH=/opt/rowferry/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ROWFERRY_HOST=0.0.0.0 \
    ROWFERRY_PORT=80 \
    ROWFERRY_DATA_DIR=/data/state
# Docker lets every user of a container bind port 80 (net.ipv4.ip_unprivileged_port_start is 0 there).
USER rowferry
WORKDIR /data
VOLUME ["/data/state", "/data/imports", "/data/exports"]
EXPOSE 80
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=5 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1/api/v1/health', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["rowferry", "serve"]
