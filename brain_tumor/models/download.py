"""Published weights over HTTP: the very file that was published, or nothing."""

from pathlib import Path

import pooch

from brain_tumor.errors import ModelError
from brain_tumor.progress import Bar

PATIENCE_SECONDS = 30.0  # a server silent for so long is taken for gone
CHUNK_BYTES = 1 << 14  # pooch takes kilobytes, and the bar moves at each


def download(url: str, path: Path, digest: str, timeout: float = PATIENCE_SECONDS) -> None:
    """Fetch ``url`` to ``path``; what is not exactly the expected file never gets that name. A second call starts anew.

    Args:
        url: over HTTP or HTTPS; redirections are followed.
        path: where the file will lie; its folder is made.
        digest: of the whole file, as the publisher states it: ``md5:...`` or ``sha256:...`` in hex.
        timeout: seconds of silence after which the server is given up.

    Raises:
        ModelError: no server, an error instead of a file, a file cut short or another one.
    """
    try:
        with Bar(f"downloading {path.name}, kB", total=0) as bar:
            fetch = pooch.HTTPDownloader(progressbar=_Received(bar), timeout=timeout, chunk_size=CHUNK_BYTES)
            pooch.retrieve(url, digest, path.name, path.parent, downloader=fetch)
    except (OSError, ValueError) as error:  # an error of requests is an OSError; another hash than expected a ValueError
        raise ModelError(f"{url}: not downloaded ({' '.join(str(error).split())})") from error


class _Received:
    """A bar as pooch moves it: by bytes."""

    total = 0

    def __init__(self, bar: Bar):
        self.bar, self.done = bar, 0

    def update(self, received: int) -> None:
        self.done += received
        self.bar.advance(self.done // 1000 - self.bar.task.completed, total=max(self.done, self.total) // 1000)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """The bar's own context ends it."""
