"""Measure this machine in one run, this project beside PyTorch: speed, cost, memory, start-up, time to quality.

    make bench                                        # all but `quality` and `same`; about an hour on two quiet cores
    make bench BENCH='--only speed --rounds 9'
    make bench BENCH='--only quality --seeds 0,1'     # time to quality: some two hours, goes on where it stopped
    make bench BENCH='--only same --seeds 0,1'        # fewer operations train as well as Keras's layers
    make bench BENCH='--against old.json'             # beside earlier numbers
    make bench BENCH=--quick                          # a smoke run on a few synthetic slices: its numbers mean nothing

Both sides take the same batches and are measured in turns, so that another job on the machine slows both alike. Everything is
written to a temporary home that is removed; the LGG data is only read. Numbers go to ``build/bench.json``, tables and a plot
beside them; a section that was measured before and is not asked for again stays.
"""

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import endtoend
import quality
import scaling
import show
import sides
import speed
import typer
from material import SIZE, SPLIT, open_material, seconds

from brain_tumor import files

SECTIONS = ("data", "start", "speed", "beside", "gains", "cost", "source-004", "same", "quality")
BY_DEFAULT = SECTIONS[:-2]
OF_SOURCE_004 = ("source-004", "quality")  # its split is of patients whom only the LGG data has
PHANTOM_SPLIT, PHANTOM_SEEDS = "ratio-25", [0, 1, 2, 3, 4]


def main(
    only: str = typer.Option(",".join(BY_DEFAULT), help=f"Some of {', '.join(SECTIONS)}, by commas."),
    rounds: int = typer.Option(5, help="Interleaved rounds of a comparison."),
    steps: int = typer.Option(12, help="Training steps, or batches, a round."),
    seeds: str = typer.Option("0,1", help="Of the trainings for quality and sameness."),
    precision: str = typer.Option("mixed_bfloat16", help="Of everything that is measured in one format only."),
    json: Path = typer.Option(Path("build/bench.json"), help="Where the numbers go."),
    against: Path = typer.Option(None, help="Earlier numbers, to print beside."),
    quick: bool = typer.Option(False, help="A smoke run: few synthetic slices, few steps; its numbers mean nothing."),
) -> None:
    """Measure this machine."""
    from brain_tumor.data.opening import lgg_folder

    sections = [word.strip() for word in only.split(",")]
    if unknown := set(sections) - set(SECTIONS):
        raise typer.BadParameter(f"{sorted(unknown)[0]}: expected some of {', '.join(SECTIONS)}")
    real = None if quick or not lgg_folder().is_dir() else lgg_folder()
    peer = sides.PEER.is_dir()
    if not real and (left_out := [name for name in sections if name in OF_SOURCE_004]):
        print(f"without the LGG data: no {', '.join(left_out)}")
        sections = [name for name in sections if name not in left_out]
    if quick:
        rounds, steps = 2, 2
    with tempfile.TemporaryDirectory(prefix="brain-tumor-bench-") as folder:
        os.environ |= {"BRAIN_TUMOR_HOME": folder, "BRAIN_TUMOR_QUIET": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        root = str(real or _draw_phantom(Path(folder) / "drawn", quick))
        open_material(root)  # writes the caches that every side reads
        described = {"cohort": "lgg" if real else "PHANTOM", "quick": quick}
        numbers = described | _earlier(json, described)

        def keep(rows: list[dict]) -> None:
            files.write_json(json, numbers | {"quality": rows})

        measures = {
            "data": lambda: _alone(endtoend.measure_data, root),
            "start": lambda: endtoend.start_up(root),
            "speed": lambda: _speed(root, rounds, steps, peer),
            "beside": lambda: _ratios(speed.compare(root, rounds, steps, peer, speed.usable_cores())),
            "gains": lambda: speed.gains(root, rounds, steps),
            "cost": lambda: _cost(root, precision, steps),
            "source-004": lambda: endtoend.source_004(root, epochs=4),
            "same": lambda: _same(root, real, numbers_of(seeds), precision, quick),
            "quality": lambda: quality.compare(root, numbers_of(seeds), precision, numbers.get("quality", []), keep),
        }
        for section in sections:
            spent = seconds(lambda name=section: numbers.update({name: measures[name]()}))
            numbers["settings"][section] = {"rounds": rounds, "steps": steps, "seeds": seeds, "precision": precision}
            show.section(section, numbers[section], spent)
            files.write_json(json, numbers)  # what is measured stays, whatever comes after
        numbers["machine"] = _alone(_machine) | {"peer": _peer_versions(peer)}
    files.write_json(json, numbers)
    show.plot(numbers, json.with_suffix(".svg"))
    json.with_suffix(".md").write_text(show.page(numbers))
    if against:
        show.beside(numbers, files.read_json(against))
    if quick:
        print("a smoke run: these numbers mean nothing")


def numbers_of(words: str) -> list[int]:
    """``0,1`` as numbers."""
    return [int(word) for word in words.split(",")]


def _earlier(path: Path, described: dict) -> dict:
    """What was measured before, where it was of the same slices."""
    earlier = files.read_json(path) if path.is_file() else {}
    return earlier if described.items() <= earlier.items() else {"settings": {}}


def _same(root: str, real: Path | None, seeds: list[int], precision: str, quick: bool) -> dict:
    """Of the phantom, and of the LGG data where it is here."""
    phantom = _draw_phantom(Path(os.environ["BRAIN_TUMOR_HOME"]) / "phantom", quick) if real else root
    answers = {"PHANTOM": quality.same(str(phantom), PHANTOM_SPLIT, PHANTOM_SEEDS[: 2 if quick else None], precision, epochs=4)}
    return answers | ({"lgg": quality.same(root, SPLIT, seeds, precision, epochs=4)} if real else {})


def _speed(root: str, rounds: int, steps: int, peer: bool) -> dict:
    measured = _ratios(speed.compare(root, rounds, steps, peer))
    return measured | {"of_peak": speed.share_of_peak(measured["rates"], _alone(_flops), measured["peaks"])}


def _ratios(measured: dict) -> dict:
    return measured | {"ratios": speed.ratios(measured["rates"])}


def _cost(root: str, precision: str, steps: int) -> dict:
    by_slices = scaling.by_slices(root, precision)
    return {
        "by_size": scaling.by_size(root, precision, steps),
        "by_batch": scaling.by_batch(root, precision, steps),
        "by_slices": by_slices,
        "line": scaling.line(by_slices),
    }


def _alone(action, *arguments):
    """What ``action`` gives in a process of its own: its memory is its own, and no backend is left in this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(action, *arguments).result()


def _flops() -> dict[str, float]:
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.models import saved

    return {name: speed.forward_flops(saved.build(saved.describe(name, size=SIZE))) for name in (speed.SHARED, speed.OWN)}


def _machine() -> dict:
    """Versions and cores; and of the processor, its instructions for bfloat16."""
    from brain_tumor.models import backend

    backend.load_keras()
    from brain_tumor.training.runs import environment

    return environment() | {"bfloat16": backend.machine()["bfloat16"]}


def _peer_versions(peer: bool) -> dict[str, str]:
    if not peer:
        return {}
    side = sides.Side("peer")
    try:
        return side.ask("version")
    finally:
        side.close()


def _draw_phantom(root: Path, quick: bool) -> Path:
    """A phantom in the true layout, where the LGG data is not here."""
    from brain_tumor.data.phantom import write_phantom

    return write_phantom(root, patients=4, slices=(12, 12), size=SIZE) if quick else write_phantom(root)


if __name__ == "__main__":
    typer.run(main)
