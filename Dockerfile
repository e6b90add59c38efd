# brain-tumor serve as an ordinary user. Build it beside this file, then give it a packed model (brain-tumor model pack):
#     docker build -t brain-tumor .
#     docker run --rm -v "$PWD/home:/home/reader/data" brain-tumor model get /home/reader/data/model.zip
#     docker run --rm --read-only --tmpfs /tmp -v "$PWD/home:/home/reader/data" -p 127.0.0.1:8000:8000 brain-tumor
FROM python:3.12-slim
RUN useradd --create-home reader
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY brain_tumor brain_tumor
RUN pip install --no-cache-dir '.[serve,train,cpu]'
ENV BRAIN_TUMOR_HOME=/home/reader/data PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp KERAS_HOME=/tmp
USER reader
EXPOSE 8000
ENTRYPOINT ["brain-tumor"]
CMD ["serve", "--host", "0.0.0.0", "--token", "new"]
