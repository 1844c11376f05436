# Private Evolution Studio. Runs on the CPU, and on NVIDIA GPUs with `docker run --gpus all`: the
# torch wheel for Linux brings its own CUDA libraries.
#
#   docker build -t private-evolution-studio .
#   docker run -e PE_AUTH=name:a-long-password -p 127.0.0.1:7860:7860 -v pe-data:/data \
#       private-evolution-studio
#
# Inside a container the page listens on all addresses, so it asks for a login and does not start
# without one. PE_AUTH holds one account a line; `-e PE_AUTH` alone takes it from the shell's
# environment. On a Hugging Face Space whose card says `hf_oauth: true` visitors log in with their
# own accounts instead, and PE_ALLOWED_USERS, a list of names, says who may come in.
#
# Passwords and images travel as they are: put a proxy with TLS in front before others reach it,
# and set FORWARDED_ALLOW_IPS to the proxy's address, so that cookies are marked as secure. The
# proxy should also end connections that send their headers too slowly.
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
