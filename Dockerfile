# Two images: the processor, and the sample models. Envoy is not in them: it has an official image of its own.
#   docker build --tag extproc .
#   docker build --tag extproc-models --target models .

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/extproc
ENV PATH=/opt/extproc/bin:$PATH
WORKDIR /source
# What it depends on changes less often than its source, and stays a layer of its own.
COPY pyproject.toml deploy/constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > requirements.txt \
    && pip install --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY graphs graphs
COPY extproc extproc
RUN pip install --no-deps .

FROM build AS build-models
RUN pip install --constraint constraints.txt scikit-learn

FROM python:3.12-slim-bookworm AS base
# Named volumes take the owner of the folder they are mounted at when they are new.
RUN groupadd --gid 10001 extproc \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/extproc --shell /usr/sbin/nologin extproc \
    && install --directory --owner=extproc --group=extproc --mode=0700 /var/lib/extproc
ENV PATH=/opt/extproc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001

FROM base AS models
COPY --from=build-models /opt/extproc /opt/extproc
ENTRYPOINT ["python", "-m", "extproc.demo.model_server"]

FROM base AS processor
COPY --from=build /opt/extproc /opt/extproc
ENTRYPOINT ["extproc"]
