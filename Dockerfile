# The operator's image. docs/operations.md says how to build and push it.
#
# Both bases have to hold the same minor version of Python and the same C library; whether they fit
# is tried below, so a pair that does not fit is no image. Pin them by digest where you build.
ARG BUILD_BASE=docker.io/library/python:3.13-slim-trixie
ARG RUNTIME_BASE=gcr.io/distroless/python3-debian13:nonroot

FROM ${BUILD_BASE} AS build
COPY requirements.lock /build/
# Wheels alone, each with its hash: nothing of a package runs while the image is built.
RUN ["python3", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", \
     "--root-user-action=ignore", "--require-hashes", "--no-deps", "--only-binary=:all:", \
     "--target=/app", "--requirement=/build/requirements.lock"]
# Their command-line programs are of no use to the operator.
RUN ["python3", "-c", "import shutil; shutil.rmtree('/app/bin')"]
COPY operator/securetenant /app/securetenant
RUN ["python3", "-m", "compileall", "-q", "/app/securetenant"]
COPY LICENSE /app/

# Compiled modules fit one minor version of Python. A stage of its own, since a RUN leaves files behind.
FROM ${RUNTIME_BASE} AS tried
COPY --from=build /app /app
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1
RUN ["/usr/bin/python3", "-m", "securetenant.cli.run", "--help"]
RUN ["/usr/bin/python3", "-m", "securetenant.cli.probe", "--help"]

FROM ${RUNTIME_BASE}
LABEL org.opencontainers.image.title="securetenant-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=tried /app /app
# By number, so that a kubelet can see that it is not root.
USER 65532:65532
WORKDIR /app
ENV PYTHONPATH=/app PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
ENTRYPOINT ["/usr/bin/python3", "-m", "securetenant.cli.run"]
