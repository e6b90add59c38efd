"""``brain-tumor serve``: a page and a JSON API for a person with one exam."""

import secrets
import socket
from typing import Any

import typer

from brain_tumor.models.backend import load_keras

LOOPBACK = "127.0.0.1"
THREADS = 8  # that answer while others wait for their exams; one more predicts


def serve(
    model: str = typer.Option(
        "", metavar="RUN", help="A run or a packed model; by default the finished run with the best test score."
    ),
    host: str = typer.Option(LOOPBACK, help="The address to listen at; any but this machine's own wants a token."),
    port: int = typer.Option(8000, min=0, max=65535, help="0 for any free port."),
    token: str = typer.Option("", help="What every request must bring; 'new' draws one and prints it."),
    review: str = typer.Option(
        "", metavar="RUN", help="Look at the stored predictions of a run or cross-validation; no network is loaded."
    ),
    upload_mb: int = typer.Option(64, min=1, max=2048, help="The largest upload."),
    waiting: int = typer.Option(8, min=1, help="Exams that may wait; one more is refused."),
    per_minute: int = typer.Option(0, min=0, help="Predictions that one address may ask for in a minute; 0 for any number."),
) -> None:
    """Serve a page on this machine: drop an exam, see what a network outlines. Research use only: not for diagnosis."""
    from brain_tumor.errors import BrainTumorError, DataError
    from brain_tumor.paths import installation

    try:
        import waitress

        from brain_tumor.serve import security
        from brain_tumor.serve.limits import Limits
    except ImportError as error:
        raise BrainTumorError(
            f"serve needs {error.name}, which is not installed; {installation('serve', 'train', 'cpu')}"
        ) from None
    token = secrets.token_urlsafe(24) if token == "new" else token
    if not (security.is_loopback(host) or token):
        raise DataError(f"--host {host}: others can reach this address, so give --token TOKEN, or --token new")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise DataError("--token: letters, digits and signs of ASCII without a space, or 'new'")
    _check_free(host, port)
    load_keras()
    from brain_tumor.serve.app import create_app

    limits = Limits(upload_bytes=upload_mb << 20, waiting=waiting, per_minute=per_minute)
    served, stored = (None, _review(review)) if review else (_load(model), None)
    app = create_app(served, limits, token, ("localhost", "127.0.0.1", "::1", host), stored)
    server = waitress.create_server(
        app, host=host, port=port, threads=THREADS + waiting, max_request_body_size=limits.upload_bytes + (1 << 20)
    )
    name = {"::1": "[::1]", "0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    typer.echo(f"open http://{name}:{server.effective_port}/   (Ctrl+C ends it)")
    if token:
        typer.echo(f"token: {token}")
    typer.echo("research use only, not for diagnosis")
    server.run()


def _check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened at, before a network is loaded."""
    from brain_tumor.errors import DataError

    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise DataError(f"--host {host} --port {port}: {error.strerror or error}") from None


def _load(model: str) -> Any:
    from brain_tumor.serve import served

    typer.echo("loading a network; its first start measures its training slices and maps, which takes minutes")
    network = served.load(model)
    typer.echo(f"network: {network.name}. {network.why}")
    return network


def _review(name: str) -> Any:
    from brain_tumor.experiments.run import cohort_of
    from brain_tumor.records import crossval, lookup
    from brain_tumor.serve.review import Review
    from brain_tumor.training.runs import find_run

    if crossval.is_crossval(name):
        folder = crossval.find(name)
        facts = lookup.crossval_facts(folder)
    else:
        folder = find_run(name).path
        facts = lookup.run_facts(folder)
    return Review(folder, cohort_of(facts), facts["recipe"].get("threshold", 0.5))
