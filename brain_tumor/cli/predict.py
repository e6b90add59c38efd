"""``brain-tumor predict``: a trained run on one picture or one case."""

from pathlib import Path
from typing import Any

import typer

from brain_tumor.models.backend import load_keras


def predict(
    run: str = typer.Argument(help="A run's name, the beginning of it, or its folder."),
    what: str = typer.Argument(
        metavar="IMAGE_OR_CASE", help="A slice as a picture file, a case's folder, or a case of the run's cohort."
    ),
    out: Path = typer.Option(None, help="Where the overlay of an outline goes: .png, .tif or .jpg."),
    mask: Path = typer.Option(None, help="Also write the mask, 0 and 255: one picture, or a folder for a case."),
) -> None:
    """Outline the tumour in one slice or one case, or tell which slices show one. Research use only: not for diagnosis."""
    load_keras()
    from brain_tumor.errors import DataError
    from brain_tumor.experiments.run import finished_recipe, trained_cohort
    from brain_tumor.inference import intake
    from brain_tumor.inference.predictor import Predictor
    from brain_tumor.training.runs import find_run

    if out and out.suffix.lower() not in intake.PICTURES:
        raise DataError(f"{out}: an overlay is written as {', '.join(intake.PICTURES)}")
    folder = find_run(run)
    outlines = finished_recipe(folder).LEARNS_MASKS
    if outlines and not out:
        raise DataError(f"{folder.path.name}: outlines tumours; say where the overlay goes with --out")
    if not outlines and (out or mask):
        raise DataError(
            f"{folder.path.name}: tells slices with tumour from others, it outlines nothing; leave out --out and --mask"
        )
    predictor = Predictor.load(folder.path)
    path = Path(what)
    is_file = path.is_dir() or path.suffix.lower() in intake.PICTURES
    source = path if is_file else trained_cohort(folder)[what]
    exam = intake.exam(source, predictor.by_exam, sequences=predictor.sequences)
    for note in exam.notes:
        typer.echo(note)
    answer = predictor.predict(exam)
    if predictor.outlines:
        _outline(answer, exam, predictor, out, mask)
    else:
        _classify(answer, predictor.threshold)
    typer.echo(f"research use only, not for diagnosis; run {folder.path.name}")


def _classify(answer: Any, threshold: float) -> None:
    for number, probability in zip(answer.slice_numbers, answer.probability, strict=True):
        typer.echo(f"slice {number}: {probability:.3f}{'  tumour' if probability > threshold else ''}")
    slices = f"{(answer.probability > threshold).sum()} of {len(answer.probability)} slices"
    typer.echo(f"{answer.case_id}: tumour called in {slices} (probability above {threshold:.3g})")


def _outline(answer: Any, exam: Any, predictor: Any, out: Path, mask: Path | None) -> None:
    import numpy as np

    from brain_tumor.report.figures import overlay

    masks = (answer.native > predictor.threshold * 255).astype(np.uint8)
    images, numbers, name = exam.images[exam.rows], answer.slice_numbers, answer.case_id
    alone = len(numbers) == 1
    channel = predictor.reference
    picture = overlay.outlined(images[0], masks[0], channel) if alone else overlay.contact_sheet(images, masks, numbers, channel)
    overlay.save_picture(picture, out)
    if mask:
        for number, plane in zip(numbers, masks, strict=True):
            overlay.save_picture(plane * 255, mask if alone else mask / f"{name}_{number}_mask.tif")
    typer.echo(
        f"{name}: tumour called in {masks.any(axis=(1, 2)).sum()} of {len(numbers)} slices, "
        f"{masks.sum():,} px of {images.shape[2]} x {images.shape[1]} a slice; "
        f"highest pixel probability {answer.native.max() / 255:.3f}"
    )
    typer.echo(f"overlay: {out}")
