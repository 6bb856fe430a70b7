# The operator. docs/images.md says what may be given:
#   BASE     an image with Python 3.11 or later and its venv module, to build in
#   RUNTIME  what the result stands on: the same Python at the same path, and nothing else, not even a shell
#   INDEX    a package index of one's own
#   secrets  `ca`: certificates that the index is trusted by; `netrc`: who asks it
ARG BASE=python:3.11-slim-bookworm
ARG RUNTIME=${BASE}

FROM ${BASE} AS tools
ARG INDEX=
ENV VIRTUAL_ENV=/opt/edgetrain \
    PIP_INDEX_URL=${INDEX} \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    PIP_NO_CACHE_DIR=1 \
    UV_DEFAULT_INDEX=${INDEX} \
    UV_SYSTEM_CERTS=1 \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements.txt ./
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --quiet --disable-pip-version-check --constraint requirements.txt uv \
 && /opt/tools/bin/uv venv --quiet --python "$(command -v python3)" ${VIRTUAL_ENV}

FROM tools AS dependencies
COPY protocol/pyproject.toml protocol/
COPY operator/pyproject.toml operator/
# The operator sends and reads plain documents. The client's typed classes, more than a thousand files, are
# loaded only when asked for, and half of the image without this.
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    /opt/tools/bin/uv pip install --quiet --constraint requirements.txt \
      -r protocol/pyproject.toml -r operator/pyproject.toml \
 && find ${VIRTUAL_ENV}/lib/python3*/site-packages/kubernetes -path '*/client/*' \
      '(' -path '*/api/*' -o -path '*/models/*' ')' -name '*.py' ! -name __init__.py -delete \
 && ${VIRTUAL_ENV}/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash ${VIRTUAL_ENV}/lib

FROM dependencies AS packages
COPY protocol protocol
COPY operator operator
# Laid out apart, as a layer of its own: it is all that a new version of ours changes.
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    /opt/tools/bin/uv pip install --quiet --no-deps --build-constraint requirements.txt \
      --python ${VIRTUAL_ENV}/bin/python --prefix /staged${VIRTUAL_ENV} ./protocol ./operator \
 && ${VIRTUAL_ENV}/bin/python -m compileall -q -s /staged --invalidation-mode unchecked-hash /staged \
 && PYTHONPATH="$(echo /staged${VIRTUAL_ENV}/lib/python3*/site-packages)" \
      ${VIRTUAL_ENV}/bin/python -c 'import edgetrain_operator.runtime.operator'

FROM ${RUNTIME}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="edgetrain operator" \
      org.opencontainers.image.description="Kubernetes operator for training on the edge" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
ENV PATH=/opt/edgetrain/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    USER=nonroot \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
COPY --from=dependencies /opt/edgetrain /opt/edgetrain
COPY --from=packages /staged /
WORKDIR /
USER 65532:65532
ENTRYPOINT ["edgetrain-operator"]
