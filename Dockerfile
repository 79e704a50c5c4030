# The transform service. docker build -t s3img .
# docker run --read-only --tmpfs /tmp -v s3img-cache:/var/cache/s3img -p 8000:8000 --env-file service.env s3img
ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY s3img s3img
COPY flask_ext flask_ext
COPY mkdocs_plugin mkdocs_plugin
COPY examples/mkdocs_site examples/mkdocs_site
RUN python -m venv /opt/s3img && /opt/s3img/bin/pip install --no-cache-dir '.[granian,prometheus]'

FROM python:${PYTHON}-slim
ARG VERSION=0 REVISION=unknown
LABEL org.opencontainers.image.title="s3img" \
      org.opencontainers.image.description="Pictures of an S3 bucket in the size and format that an address asks for" \
      org.opencontainers.image.source="https://github.com/s3img/s3img" \
      org.opencontainers.image.documentation="https://s3img.github.io/s3img/docker/" \
      org.opencontainers.image.licenses="MIT AND OFL-1.1 AND CC-BY-4.0 AND CC0-1.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# fribidi: text of layers from right to left
RUN apt-get update \
 && apt-get install -y --no-install-recommends libfribidi0 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --no-log-init --home-dir /nonexistent --shell /usr/sbin/nologin s3img \
 && install -d -o s3img /var/cache/s3img
COPY --from=build /opt/s3img /opt/s3img
ENV PATH=/opt/s3img/bin:$PATH PYTHONDONTWRITEBYTECODE=1 S3IMG_CACHE_DIR=/var/cache/s3img MALLOC_ARENA_MAX=2 \
    GRANIAN_INTERFACE=asgi GRANIAN_FACTORY=true GRANIAN_HOST=0.0.0.0 GRANIAN_PORT=8000 GRANIAN_WORKERS=2 \
    GRANIAN_WEBSOCKETS=false GRANIAN_RESPAWN_FAILED_WORKERS=true GRANIAN_WORKERS_KILL_TIMEOUT=40 \
    GRANIAN_WORKERS_MAX_RSS=800
# by number: Kubernetes checks runAsNonRoot without a table of names
USER 10001
VOLUME /var/cache/s3img
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["s3img", "healthcheck"]
CMD ["granian", "s3img.service:create_asgi_app"]
