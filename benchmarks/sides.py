"""The two sides of a comparison, each in a process of its own: this project (:mod:`ours`) and PyTorch (:mod:`peer`).

A side is asked for one thing at a time, so that both can be measured in turns in one run while the other waits.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / "build" / "peer"  # where `make bench` puts PyTorch, out of the way of .venv


class Side:
    """A worker process, which answers a line of JSON with a line of JSON.

    Args:
        module: ``ours`` or ``peer``, a module beside this one.
        cores: the cores that it may use, a thread each; all of the machine's by default.
    """

    def __init__(self, module: str, cores: Sequence[int] | None = None, **environment: str):
        self.name, self.cores = module, cores or sorted(os.sched_getaffinity(0))
        threads = str(len(self.cores))
        settings = {"OMP_NUM_THREADS": threads, "TF_NUM_INTRAOP_THREADS": threads, "PYTHONPATH": str(HERE)}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "sides.py"), module, ",".join(map(str, self.cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **settings, **environment},
        )

    def begin(self, action: str, **arguments: Any) -> None:
        """Ask for something; :meth:`answer` waits for it."""
        self._process.stdin.write(json.dumps({"action": action, **arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """What was asked for last."""
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: the process ended; what it said stands above")
        return json.loads(line)

    def ask(self, action: str, **arguments: Any) -> Any:
        """Ask, and wait."""
        self.begin(action, **arguments)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def serve(module: str, cores: str) -> None:
    """A worker's life: lines in, lines out. What libraries print goes to standard error."""
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = __import__(module).Worker(threads=cores.count(",") + 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("action"))(**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(*sys.argv[1:])
