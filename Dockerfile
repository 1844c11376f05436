# Private Evolution Studio. Runs on the CPU, and on NVIDIA GPUs with `docker run --gpus all`: the
# torch wheel for Linux brings its own CUDA libraries.
#
#   docker build -t private-evolution-studio .
#   docker run -p 127.0.0.1:7860:7860 -v pe-data:/data private-evolution-studio
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PE_HOME=/data \
    HF_HOME=/data/models \
    TORCH_HOME=/data/models/torch

RUN useradd --uid 1000 --create-home user && install --directory --mode 700 --owner user /data
WORKDIR /home/user/app

COPY requirements.txt .
RUN pip install -r requirements.txt

COPY --chown=user app.py .
COPY --chown=user pe_engine pe_engine
COPY --chown=user assets assets

USER user
VOLUME /data
EXPOSE 7860
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
