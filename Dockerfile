# The worker's image: `docker compose build`, or `docker build -t llmvitals .`
FROM python:3.13 AS build
# otlp,profanity,embeddings for scorers of texts, which are some 250 MB more.
ARG EXTRAS=otlp
WORKDIR /build
RUN python -m venv /opt/llmvitals
COPY pyproject.toml README.md LICENSE ./
COPY topics topics
COPY src src
RUN /opt/llmvitals/bin/pip install --no-cache-dir ".[$EXTRAS]"

FROM python:3.13-slim
RUN useradd --system --no-create-home --uid 10001 llmvitals
COPY --from=build /opt/llmvitals /opt/llmvitals
WORKDIR /etc/llmvitals
COPY alerts alerts
ENV PATH=/opt/llmvitals/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LLMVITALS_LOG_FORMAT=json
USER 10001
ENTRYPOINT ["llmvitals"]
CMD ["worker"]
