"""Clients of notebook kernels that neither wait for an answer that is there nor for a kernel that lost the question."""

import asyncio
import functools
import math
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import nbclient

START_SECONDS = 120  # within which a kernel begins a cell; it takes milliseconds
LOOK_SECONDS = 1.0


class Client(nbclient.NotebookClient):
    """Runs a notebook, and looks for messages every second.

    What announces a message gets lost now and then: of some 300 runs of a notebook on a busy machine five waited for ever, their
    kernels idle and the answers there to be read (pyzmq 27.3).
    """

    async def async_start_new_kernel_client(self) -> Any:
        """A client of a kernel that has started."""
        kernel: Any = await super().async_start_new_kernel_client()
        for channel in (kernel.shell_channel, kernel.iopub_channel):
            channel.get_msg = functools.partial(_look_again, channel.get_msg)
        kernel.execute_interactive = functools.partial(_execute, kernel)
        return kernel


async def _execute(kernel: Any, code: str, silent: bool = False) -> Any:
    """The reply to code between cells, which the client's own method waits for on the sockets themselves."""
    number = kernel.execute(code, silent=silent)
    while (reply := await kernel.shell_channel.get_msg())["parent_header"].get("msg_id") != number:
        pass
    return reply


async def _look_again(get_message: Callable, timeout: float | None = None) -> Any:
    """The next message; ``Empty`` where there is none within ``timeout`` seconds."""
    end = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        left = max(end - time.monotonic(), 0.0)
        try:
            return await get_message(min(left, LOOK_SECONDS))
        except Empty:
            if left <= LOOK_SECONDS:
                raise


class WatchfulClient(Client):
    """One that ends where its kernel never begins a cell: on a busy machine a kernel may lose a request (ipykernel 1554)."""

    lost = False

    def expect(self, **_cell: Any) -> None:
        """A cell was sent: its kernel says that it is busy, or has lost it."""
        self.timer = asyncio.get_running_loop().call_later(START_SECONDS, self.give_up)

    def give_up(self) -> None:
        """Kill the kernel, which ends the wait for the cell."""
        self.lost = True
        manager: Any = self.km
        self.killing = asyncio.ensure_future(manager.shutdown_kernel(now=True))

    def process_message(self, *message: Any) -> Any:
        """What the kernel says of a cell."""
        self.timer.cancel()
        return super().process_message(*message)
