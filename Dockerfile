# A run as a web page, on a CPU:
#   docker build -t namesake .
#   docker run --rm -p 7860:7860 -e NAMESAKE_PASSWORD=choose-one -v "$PWD/runs/pets:/served:ro" namesake
# On a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 -t namesake .
#           docker run --gpus all ... as above
# Any other verb: docker run --rm -v "$PWD:/work" -w /work namesake run maskclip --names "dog, cat" ...
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /namesake
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch \
    && pip install --no-cache-dir -c constraints.txt ".[app]" \
    && useradd --create-home --uid 1000 namesake

USER 1000
EXPOSE 7860
ENTRYPOINT ["namesake"]
CMD ["serve", "/served", "--host", "0.0.0.0"]
