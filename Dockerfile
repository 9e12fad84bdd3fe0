# The worker's image: `docker build -t training-service .`
FROM python:3.13-slim AS builder
WORKDIR /srv/training
RUN python -m venv /srv/venv
ENV PATH=/srv/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/worker.txt requirements/
RUN pip install --require-hashes -r requirements/worker.txt
COPY pyproject.toml README.md ./
COPY src src
COPY migrations migrations
# Editable: the migrations are found beside src. Compiled now, since the image may be run with a read-only root.
RUN pip install --no-deps --no-build-isolation --editable . && python -m compileall -q src

FROM python:3.13-slim
COPY --from=builder /srv /srv
WORKDIR /srv/training
ENV PATH=/srv/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TRAINING_WEB_HOST=0.0.0.0 \
    TRAINING_WEB_PORT=8080
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8080
# 200 while the worker can serve REST; an outage of Kafka does not make it unhealthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['TRAINING_WEB_PORT'] + '/health/ready', timeout=4)"]
CMD ["training", "worker"]
