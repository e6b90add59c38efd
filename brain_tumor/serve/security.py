"""Who may ask, how often, and what a browser may do with a page of ours."""

import hmac
import ipaddress
import threading
import time
from collections import deque
from urllib.parse import urlsplit

from flask import Flask, Request, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from brain_tumor.serve.limits import Limits, Refusal

POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
COOKIE = "brain-tumor-token"
OPEN = {"healthz", "readyz", "login", "static", "viewer_script"}  # asked for without a token
MINUTE, RETRY_SECONDS = 60.0, "30"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def guard(app: Flask, token: str, hosts: set[str], limits: Limits) -> None:
    """Put the checks before every request, and the headers on every answer.

    Args:
        token: that a request must bring; ``""``: none.
        hosts: the names that the server is asked for by; any, where a token is asked for.
    """
    rate = Rate(limits.per_minute)

    @app.before_request
    def check() -> AnyResponse | None:
        if not token and urlsplit(f"//{request.host}").hostname not in hosts:
            raise Refusal(403, "host", "This server answers under its own name only.")  # another's name may lead a browser here
        if request.method == "POST" and _from_elsewhere(request):
            raise Refusal(403, "cross_site", "A page of another site may not send exams here.")
        if token and request.endpoint not in OPEN and not _knows(request, token):
            if request.path.startswith("/api/"):
                raise Refusal(401, "token", "A token is needed: Authorization: Bearer TOKEN.")
            return redirect(url_for("login"))
        if request.method == "POST" and request.endpoint in ("predict", "sample", "api_predict", "login"):
            rate.check(request.remote_addr or "")
        return None

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        if response.status_code in (429, 503):
            response.headers["Retry-After"] = RETRY_SECONDS
        return response


class Rate:
    """How often each address asked in the last minute."""

    def __init__(self, per_minute: int):
        self.per_minute = per_minute
        self._times: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, address: str) -> None:
        """Count a request.

        Raises:
            Refusal: it is one too many.
        """
        if not self.per_minute:
            return
        now = time.monotonic()
        with self._lock:
            self._times = {who: times for who, times in self._times.items() if times and times[-1] > now - MINUTE}
            times = self._times.setdefault(address, deque(maxlen=self.per_minute))
            if len(times) == self.per_minute and times[0] > now - MINUTE:
                raise Refusal(429, "too_many", f"At most {self.per_minute} exams a minute; wait a little.")
            times.append(now)


def same(given: str, token: str) -> bool:
    """Whether two tokens are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode(), token.encode())


def _knows(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
    return same(given, token)


def _from_elsewhere(request: Request) -> bool:
    """Whether a browser says that a page of another origin sends this; a program says nothing of the kind."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    try:
        return bool(origin) and urlsplit(str(origin)).netloc != request.host
    except ValueError:  # no address at all
        return True
