# Private Evolution Studio. Runs on the CPU, and on NVIDIA GPUs with `docker run --gpus all`: the
# torch wheel for Linux brings its own CUDA libraries. How to build, run and host it, and what was
# rehearsed of this file: deploy/README.md.
FROM debian:trixie-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PE_HOME=/data \
    HF_HOME=/data/models \
    TORCH_HOME=/data/models/torch

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home user && install --directory --mode 700 --owner user /data
WORKDIR /home/user/app

COPY requirements.txt .
RUN python3 -m venv /opt/venv && pip install -r requirements.txt

COPY --chown=user app.py .
COPY --chown=user pe_engine pe_engine
COPY --chown=user assets assets

USER user
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/login', timeout=4)"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
