# CPU:  docker build -t ue-bench .
# CUDA: docker build -t ue-bench:cuda --build-arg TORCH=cu126 .
FROM python:3.12-slim

# the build of PyTorch: cpu, cu126, cu128, as its wheel index names them
ARG TORCH=cpu

WORKDIR /suite
# hadolint ignore=DL3013  # the newest of that build, within pyproject.toml's bounds, which the last step checks
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/${TORCH}
COPY pyproject.toml README.md LICENSE ./
COPY bench ./bench
COPY methods ./methods
COPY defenses ./defenses
RUN pip install --no-cache-dir -e '.[dask,timm]' && useradd --create-home --uid 1000 bench

USER 1000
WORKDIR /home/bench
ENTRYPOINT ["python", "-m", "bench"]
CMD ["--help"]
