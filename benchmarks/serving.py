"""How long a person waits for the page's answer, beside what the network itself needs, all in one sitting.

    .venv/bin/python benchmarks/serving.py [RUN] [--seconds 60] [--json benchmarks/measured/serving.json]

A server is started by its command on this machine, with the best run of this home or the one that is named. One client sends
200 slices; four clients send slices for a minute; 1,000 requests say whether memory grows; and the health of the server is asked
while a volume is predicted. The network's own time is that of the same slice read and predicted in this process, before the
server starts.
"""

import argparse
import http.client
import io
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

from PIL import Image

from brain_tumor.data.memory import MemoryFile
from brain_tumor.data.phantom import open_phantom
from brain_tumor.serve.answers import answer
from brain_tumor.serve.served import Served, load

COMMAND = "import sys; from brain_tumor.cli.main import main; sys.argv[0] = 'brain-tumor'; main()"
BOUNDARY = "----boundary"
WARM, ONE_CLIENT, EARLY, LATE = 20, 200, 50, 1000
VOLUME_SLICES = 120


def exams() -> tuple[bytes, bytes]:
    """A drawn slice as TIFF, and a zip of an exam of many slices."""
    case = open_phantom(3).cases[0]
    images, masks = case.load()
    largest = images[masks.sum(axis=(1, 2)).argmax()]
    stream = io.BytesIO()
    Image.fromarray(largest).save(stream, "TIFF")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        for number in range(VOLUME_SLICES):
            picture = io.BytesIO()
            Image.fromarray(images[number % len(images)]).save(picture, "PNG")
            members.writestr(f"exam_{number + 1}.png", picture.getvalue())
    return stream.getvalue(), archive.getvalue()


class Client:
    """One connection that stays open."""

    def __init__(self, port: int):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def predict(self, name: str, content: bytes) -> float:
        """Seconds until the answer is there."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="exam"; filename="{name}"\r\n\r\n'.encode()
        body = head + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self._ask("POST", "/api/v1/predict", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})

    def health(self) -> float:
        """Seconds until the server says that it lives."""
        return self._ask("GET", "/healthz", None, {})

    def _ask(self, verb: str, path: str, body: bytes | None, headers: dict) -> float:
        start = time.perf_counter()
        self.connection.request(verb, path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {content[:200]!r}")
        return time.perf_counter() - start


def own_time(served: Served, content: bytes) -> float:
    """The median seconds of reading and predicting a slice in this process."""

    def once() -> float:
        start = time.perf_counter()
        answer(MemoryFile("slice.tif", content), served, lambda share: None, maps=False, drawn=True)
        return time.perf_counter() - start

    return statistics.median([once() for _ in range(WARM + 60)][WARM:])


def memory_mb(process: int) -> float:
    """What a process holds of the machine's memory."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def p95(values: list[float]) -> float:
    """The value that 95 % do not exceed."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


def measure(port: int, process: int, seconds: float) -> dict:
    """All that is asked of a running server."""
    slice_file, volume = exams()
    client = Client(port)
    for _ in range(WARM):
        client.predict("slice.tif", slice_file)
    first = [client.predict("slice.tif", slice_file) for _ in range(EARLY - WARM)]
    early = memory_mb(process)
    one = first + [client.predict("slice.tif", slice_file) for _ in range(ONE_CLIENT - len(first))]
    until, many = time.perf_counter() + seconds, [[] for _ in range(4)]

    def keep_asking(times: list[float]) -> None:
        own = Client(port)
        while time.perf_counter() < until:
            times.append(own.predict("slice.tif", slice_file))

    start = time.perf_counter()
    threads = [threading.Thread(target=keep_asking, args=(times,)) for times in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = [value for times in many for value in times]
    rate = len(together) / (time.perf_counter() - start)
    for _ in range(max(0, LATE - WARM - ONE_CLIENT - len(together))):
        client.predict("slice.tif", slice_file)
    late = memory_mb(process)
    health: list[float] = []
    done = threading.Event()

    def predict_volume() -> None:
        Client(port).predict("exam.zip", volume)
        done.set()

    threading.Thread(target=predict_volume).start()
    watcher = Client(port)
    while not done.is_set():
        health.append(watcher.health())
        time.sleep(0.01)
    return {
        "one_client_median": statistics.median(one),
        "one_client_p95": p95(one),
        "four_clients_p95": p95(together),
        "one_client_rate": 1 / statistics.mean(one),
        "four_clients_rate": rate,
        "four_clients_requests": len(together),
        "memory_early_mb": early,
        "memory_late_mb": late,
        "health_p95": p95(health),
        "health_asked": len(health),
    }


def main() -> None:
    """Measure, print the ratios beside the aims, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    served = load(options.run)
    own = own_time(served, exams()[0])
    arguments = [sys.executable, "-c", COMMAND, "serve", "--model", served.name, "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        try:
            port = next(int(match[1]) for line in server.stdout if (match := re.search(r"http://.*:(\d+)/", line)))
            numbers = {"model": served.card["network"], "own_median": own, **measure(port, server.pid, options.seconds)}
        finally:
            server.kill()
    aims = {
        "one client, p95 over the network's own time": (numbers["one_client_p95"] / own, "at most 1.2"),
        "four clients, rate over one client's": (numbers["four_clients_rate"] / numbers["one_client_rate"], "at least 0.9"),
        "four clients, p95 over one client's": (numbers["four_clients_p95"] / numbers["one_client_p95"], "at most 5"),
        "memory after 1,000 requests, MB more": (numbers["memory_late_mb"] - numbers["memory_early_mb"], "at most 50"),
        "health while a volume is predicted, p95 ms": (1000 * numbers["health_p95"], "aim 50"),
    }
    print(f"{numbers['model']}; the network's own time {1000 * own:.0f} ms")
    for name, (value, aim) in aims.items():
        print(f"{name}: {value:.2f} ({aim})")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
