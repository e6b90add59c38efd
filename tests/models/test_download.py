"""Downloads from a server on this machine: the expected file, whole, or nothing and one line."""

import hashlib
import http.server
import threading
import time

import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models.download import download

CONTENT = bytes(range(256)) * 10_000  # more than one chunk
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """``/good``, and the ways in which it may not be."""

    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/silent":
            self.wfile.write(CONTENT[:1000])
            self.wfile.flush()
            time.sleep(1)
            return
        self.wfile.write({"/short": CONTENT[:-1], "/other": CONTENT[::-1]}.get(self.path, CONTENT))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    """The address of a server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("page", ["/good", "/moved", "/unannounced"])
def test_the_expected_file_is_downloaded_whole(server, tmp_path, page):
    final = tmp_path / "deep" / "weights.h5"
    download(server + page, final, f"md5:{MD5}")
    assert final.read_bytes() == CONTENT
    assert listing(final.parent) == ["weights.h5"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("/short", ""),  # which of its reads notices depends on the version of Python
        ("/other", "not downloaded (MD5 hash of downloaded file (new) does not match the known hash"),
        ("/missing", "not downloaded (404 Client Error: Not Found"),
        ("/silent", "not downloaded ("),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(server, tmp_path, page, words):
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        with pytest.raises(ModelError) as refusal:
            download(server + page, tmp_path / name, f"md5:{MD5}", timeout=0.2 if page == "/silent" else 30.0)
        assert str(refusal.value).startswith(f"{server}{page}: {words.replace('new', name)}")
        assert "\n" not in str(refusal.value)
    assert listing(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_no_server_is_said_in_one_line_and_nothing_is_made(tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as gone:
        url = f"http://127.0.0.1:{gone.server_port}/good"
    with pytest.raises(ModelError, match=f"{url}: not downloaded .*refused"):
        download(url, tmp_path / "deep" / "weights.h5", f"md5:{MD5}")
    assert not (tmp_path / "deep" / "weights.h5").exists()
