"""Notebooks to reports: run whole, patients' pictures replaced by a phantom's, one HTML file and the sidecar of its numbers.

A notebook is run twice to be published: as written, on the real cohort; and with its test values, on the phantom cohort. The
cells tagged ``patient-pixels`` of the first are shown with the outputs of the second (DESIGN law 9).
"""

import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbconvert import HTMLExporter

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.paths import CHECKOUT, commit, data_folder, readable, reports_folder
from brain_tumor.progress import Bar
from brain_tumor.records import sidecar
from brain_tumor.report.figures.drawing import PIXELS_MIME
from brain_tumor.report.pages import kernels, page

TAG = "patient-pixels"
CAPTION = "Phantom picture: published reports show no patient; run the notebook to see the real one."
SYNTHETIC = "Phantom picture: the exams of this section are synthetic."
SHOWS = re.compile(r"\bshow_\w+\(")
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"  # a progress bar, of no use where no kernel runs
QUIET = {"BRAIN_TUMOR_QUIET": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def all_notebooks() -> list[Path]:
    """The numbered notebooks of the checkout, in order.

    Raises:
        RunError: the package is installed without a checkout.
    """
    if CHECKOUT is None:
        raise RunError("no notebooks here: they are not part of the installed package; clone the repository and run this there")
    return sorted((CHECKOUT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def run(paths: Sequence[Path], full: bool, out: Path | None = None) -> None:
    """Execute notebooks from top to bottom; the first failing cell stops, with the notebook's own traceback.

    Args:
        full: as written and without a time limit; otherwise with the test values of each knobs cell, as nbmake runs them.
        out: a folder for the executed copies; without it nothing is kept.
    """
    for path in paths:
        executed = _execute(path, full)
        if out:
            files.write_text(out / path.name, nbformat.writes(executed))


def publish(path: Path, local: bool = False) -> Path:
    """Run a notebook at full size and write its report and sidecar.

    Args:
        local: keep the real pictures, and write to the git-ignored ``reports/local/``.

    Returns:
        The HTML file. Where the notebook fell back to the phantom cohort, that is ``reports/local/<name>.phantom.html``.

    Raises:
        RunError: a cell draws patients without the tag, there is no sidecar, or the page breaks a rule of :func:`page.save`.
    """
    started = time.monotonic()
    executed = _execute(path, full=True)
    content = sidecar.collect(executed) | {
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "notebook": f"notebooks/{path.name}",
        "title": _title(executed),
    }
    if not (local or content["phantom"]):
        with tempfile.TemporaryDirectory() as home:
            data_folder().mkdir(parents=True, exist_ok=True)
            (Path(home) / "data").symlink_to(data_folder())  # the phantom is drawn once; its runs are nobody's
            twin = _execute(path, full=False, home=home)
        executed = with_twin_pictures(executed, twin)
    return write_report(executed, content, path.stem, local)


def with_twin_pictures(executed: nbformat.NotebookNode, twin: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy of ``executed`` in which no output holds pixels of patients: tagged cells show those of ``twin``, and say so.

    A tagged cell whose every picture is of the phantom keeps its own, which were made at full size.

    Raises:
        RunError: a cell draws pixels without the tag, or the twin is no phantom.
    """
    clean = nbformat.from_dict(executed)
    for number, (cell, other) in enumerate(zip(clean.cells, twin.cells, strict=True), 1):
        if cell.cell_type != "code":
            continue
        if TAG in cell.metadata.get("tags", []):
            if "patients" in _pixels(other):
                raise RunError(f"cell {number}: the twin shows patients; do its test values name the phantom cohort?")
            words, outputs = (SYNTHETIC, cell.outputs) if _all_phantom(cell) else (CAPTION, other.outputs)
            caption = nbformat.v4.new_output("display_data", {"text/html": f"<p class='twin'>{words}</p>"})
            cell.outputs = [caption, *outputs]
        elif SHOWS.search(cell.source) or _pixels(cell):
            raise RunError(f"cell {number} draws pixels of patients but lacks the tag {TAG!r}: {cell.source.splitlines()[0]}")
    return clean


def write_report(executed: nbformat.NotebookNode, content: dict, name: str, local: bool = False) -> Path:
    """An executed notebook as one HTML file, and its sidecar beside it.

    Args:
        content: the sidecar's, with title, commit, date and minutes.
        name: of the files, without suffix.
        local: it shows patients, so it stays at home.
    """
    phantom = content["phantom"]
    place = reports_folder() / ("local" if local or phantom else "")
    path = place / f"{name}{'.phantom' if phantom else ''}.html"
    body, _resources = _exporter().from_notebook_node(_readable(executed))
    html = page.render("report.html", title=content["title"], phantom=phantom, content=content, body=body)
    page.save(html, path, "it is of the phantom" if phantom else "it shows patients" if local else "")
    files.write_json(path.with_suffix(".json"), content)
    return path


def _execute(path: Path, full: bool, home: str | None = None) -> nbformat.NotebookNode:
    """Run a notebook in its own folder; once more, with another kernel, where the first one loses a cell.

    Args:
        full: without the test values that its cells' metadata hold.
        home: another ``BRAIN_TUMOR_HOME``.

    Raises:
        RunError: both kernels lost a cell.
    """
    notebook = _with_a_kernel(path, full, home) or _with_a_kernel(path, full, home)
    if notebook is None:
        limit = f"within {kernels.START_SECONDS} seconds"
        raise RunError(f"{readable(path)}: two kernels in turn did not begin a cell {limit}; run it again")
    return notebook


def _with_a_kernel(path: Path, full: bool, home: str | None) -> nbformat.NotebookNode | None:
    """A notebook run by a kernel of its own; None where the kernel lost a cell."""
    notebook = nbformat.read(path, as_version=4)
    code_cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    # A cell may take as long as it likes; the limit is of the kernel's first answer.
    limits: dict[str, Any] = {"timeout": kernels.START_SECONDS, "timeout_func": lambda _cell: None, "interrupt_on_timeout": True}
    client = kernels.WatchfulClient(notebook, kernel_name="python3", record_timing=False, **limits)
    environment = os.environ | QUIET | ({"BRAIN_TUMOR_HOME": home} if home else {})
    with tempfile.TemporaryDirectory() as pipes, Bar(f"running {readable(path)}{'' if full else ', small'}", code_cells) as bar:
        # Pipes of its own: the kernel warns of its default, network ports that anyone on the machine could read.
        client.config.KernelManager.transport, client.config.KernelManager.ip = "ipc", f"{pipes}/kernel"

        async def after_cell(cell: Any, cell_index: int, execute_reply: Any) -> None:
            bar.advance()
            failed = any(output.output_type == "error" for output in cell.outputs)
            mocks = {} if full or failed else cell.metadata.get("nbmake", {}).get("mock", {})
            kernel: Any = client.kc
            for name, value in mocks.items():
                await kernel.execute_interactive(f"{name} = {value!r}", silent=True)

        client.on_cell_complete, client.on_cell_executed = client.expect, after_cell
        try:
            client.execute(cwd=str(path.parent), env=environment)
        except nbclient.exceptions.DeadKernelError:
            if client.lost:
                return None
            raise
    return notebook


def _readable(executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy for reading: no first heading (the page has it), no warnings, bars, timestamps or machine-readable outputs."""
    copy = nbformat.from_dict(executed)
    copy.metadata.pop("widgets", None)
    copy.cells[0].source = re.sub(r"\A# .*\n?", "", copy.cells[0].source)
    for cell in copy.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if output.get("name") != "stderr" and WIDGET_MIME not in output.get("data", {})
            ]
            for output in cell.outputs:
                for mime in (sidecar.MIME, PIXELS_MIME):
                    output.get("data", {}).pop(mime, None)
    return copy


def _exporter() -> HTMLExporter:
    return HTMLExporter(
        template_name="notebook",
        extra_template_basedirs=[str(page.TEMPLATES)],
        mathjax_url="",
        require_js_url="",
        embed_images=True,
        exclude_anchor_links=True,
    )


def _title(notebook: nbformat.NotebookNode) -> str:
    match = re.match(r"# (.+)", notebook.cells[0].source)
    if not match:
        raise RunError("notebook: its first cell does not begin with a '# ' heading")
    return match[1].strip()


def _pixels(cell: nbformat.NotebookNode) -> set[str]:
    """Whose pixels the outputs of a cell hold: ``patients``, ``phantom``, or nothing."""
    return {output["data"][PIXELS_MIME]["pixels"] for output in cell.outputs if PIXELS_MIME in output.get("data", {})}


def _all_phantom(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell displays pixels of the phantom and nothing else but text."""
    bundles = [output["data"] for output in cell.outputs if "data" in output]
    return _pixels(cell) == {"phantom"} and all(PIXELS_MIME in bundle or set(bundle) == {"text/plain"} for bundle in bundles)
