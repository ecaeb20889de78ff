# The web tier: Flask, gevent and Pillow, without TensorFlow.
#     docker build -f deploy/web.Dockerfile -t batchpoint-web .
FROM python:3.12-slim

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin batchpoint
WORKDIR /app
# A root file system that is read-only takes no .pyc files, and a pipe no lines until it is full.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

# Wheels only: the image has no compiler, and a build script is code that no hash was checked for.
COPY requirements/web.txt requirements/web.txt
RUN pip install --no-cache-dir --only-binary=:all: --require-hashes -r requirements/web.txt

# Owned by the user: a checkout under umask 077 is not readable to anyone else.
COPY --chown=10001:10001 models models
COPY --chown=10001:10001 shared shared
COPY --chown=10001:10001 web web
COPY --chown=10001:10001 run_web.py LICENSE NOTICE ./

USER 10001:10001
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
CMD ["python", "run_web.py"]
