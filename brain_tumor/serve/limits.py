"""What a server takes and keeps, and its refusals."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a server.

    Attributes:
        upload_bytes: of one request.
        waiting: exams that may wait while one is predicted; one more is refused.
        seconds: that an exam may take, waiting included.
        answers: that the page can ask for, the newest ones.
        answer_seconds: for how long.
        answer_bytes: that they may hold together.
        per_minute: predictions that one address may ask for in a minute; 0 for any number.
    """

    upload_bytes: int = 64 << 20
    waiting: int = 8
    seconds: float = 300.0
    answers: int = 24
    answer_seconds: float = 900.0
    answer_bytes: int = 1 << 29
    per_minute: int = 0


class Refusal(Exception):
    """A request that is refused.

    Attributes:
        status: of HTTP: 400, 401, 403, 404, 413, 415, 422, 429, 500 or 503.
        code: the same for a program, such as ``too_large``.
        message: for a person, in a sentence.
    """

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def to_json(self) -> dict:
        """What the API answers."""
        return {"error": {"code": self.code, "message": self.message}}
