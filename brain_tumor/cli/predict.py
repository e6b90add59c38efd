"""``brain-tumor predict``: a trained run on one picture or one case."""

from pathlib import Path
from typing import Any

import typer

from brain_tumor.models.backend import load_keras


def predict(
    run: str = typer.Argument(help="A run's name, the beginning of it, or its folder; or a packed model's name."),
    what: str = typer.Argument(
        metavar="IMAGE_OR_CASE",
        help="A slice as a picture, an exam as a folder, a zip or a NIfTI file, or a case of the run's cohort.",
    ),
    out: Path = typer.Option(None, help="Where the overlay of an outline goes: .png, .tif or .jpg."),
    flair_run: str = typer.Option(
        None, help="A run on FLAIR alone or with its neighbours, which answers where the exam lacks sequences."
    ),
    detector: str = typer.Option(
        None, help="A run that tells slices: what it does not call is not outlined. Notebook 11 measures whether that helps."
    ),
    both: bool = typer.Option(False, "--both", help="With --detector: outline every slice, and say which ones it calls."),
    mask: Path = typer.Option(
        None,
        help="Also write the mask: a slice's as .png or .tif, 0 and 255; a case's as a folder of .tif, or one .nii.gz, 0 and 1.",
    ),
    labels: str = typer.Option("2023", help="Of a network of several regions: whose numbers the mask has, such as 2017 or 2023."),
    resample_to: str = typer.Option(
        "", metavar="SEQUENCE", help="Of volumes on several grids: bring all onto that of this sequence, such as flair."
    ),
    anyway: bool = typer.Option(False, "--anyway", help="Predict what looks unlike the training slices, too."),
) -> None:
    """Outline the tumour in one slice or one case, or tell which slices show one. Research use only: not for diagnosis."""
    from brain_tumor.cli import outputs
    from brain_tumor.data import nifti
    from brain_tumor.data.labels import CONVENTIONS
    from brain_tumor.errors import DataError, UnfamiliarError
    from brain_tumor.inference import intake

    if labels not in CONVENTIONS:
        raise DataError(f"--labels {labels}: expected one of {', '.join(CONVENTIONS)}")
    path = Path(what)
    is_file = path.exists() or path.suffix.lower() in intake.PICTURES or intake.is_exam_folder(path)
    is_case = not is_file or intake.is_exam_folder(path)
    overlay = outputs.Output("--out", out, outputs.OVERLAYS)
    outputs.check(overlay, _mask_output(mask, is_case), inputs=[path] if is_file else [])

    load_keras()
    from brain_tumor.experiments import appraisal
    from brain_tumor.experiments.run import trained_cohort
    from brain_tumor.inference import route
    from brain_tumor.inference.cascade import Cascade
    from brain_tumor.inference.predictor import Predictor
    from brain_tumor.progress import Bar
    from brain_tumor.records import card as cards, package
    from brain_tumor.training.runs import RunFolder, find_run

    folder = package.find(run)
    predictor = appraisal.load(folder)
    if predictor.outlines and not out:
        raise DataError(f"{folder.name}: outlines tumours; say where the overlay goes with --out")
    if not predictor.outlines and (out or mask or detector):
        raise DataError(
            f"{folder.name}: tells slices with tumour from others, it outlines nothing; leave out --out, --mask and --detector"
        )
    if both and not detector:
        raise DataError("--both: only says something beside --detector")
    source = path if is_file else trained_cohort(RunFolder(folder))[what]
    exam = predictor.exam(source, resample_to)
    lost = cards.loss_alone(cards.alone(folder)) if exam.alone else ""
    for note in filter(None, (*exam.notes, lost)):
        typer.echo(note)
    if not anyway:
        try:
            predictor.check(exam)
        except UnfamiliarError as error:
            raise UnfamiliarError(f"{error}; --anyway predicts it all the same") from None
    if flair_run:
        other = find_run(flair_run).path
        predictor, missing = route.choose(predictor, Predictor.load(other), exam)
        folder = other if missing else folder
        typer.echo(f"{'lacks ' + ' and '.join(missing) if missing else 'has all sequences'}: {folder.name} answers")
    if predictor.outlines:
        first = find_run(detector).path if detector else None
        cascade = Cascade(predictor, Predictor.load(first) if first else None, gated=not both)
        with Bar("predicting", 100) as bar:
            finding = cascade.predict(exam, lambda share: bar.advance(round(100 * share) - bar.task.completed))
        _outline(finding, exam, predictor, out)
        if first:
            positive = exam.asked[finding.positive].tolist()
            typer.echo(f"slices called by {first.name}: {', '.join(map(str, positive)) or 'none'}")
        if mask:
            numbered = finding.outline.inner is not None and nifti.is_nifti(mask)  # pictures hold the outermost region alone
            _write_masks(mask, _numbered(finding.depths, labels) if numbered else finding.masks, exam, is_case)
    else:
        _classify(predictor.predict(exam), predictor.threshold)
    typer.echo(f"research use only, not for diagnosis; run {folder.name}")


def _mask_output(mask: Path | None, is_case: bool) -> Any:
    """Where masks may go: a slice's into a file, a case's into a folder or one volume."""
    from brain_tumor.cli import outputs
    from brain_tumor.data import nifti
    from brain_tumor.data.picture import PICTURES

    lossless = (*outputs.LOSSLESS, *nifti.ENDINGS)
    if mask is None or not is_case:
        reason = "" if mask is None or mask.is_dir() else "a mask is 0 and 255, and a lossy format such as JPEG blurs that"
        return outputs.Output("--mask", mask, lossless, reason)
    if outputs.has_ending(mask, PICTURES) and not mask.is_dir():
        return outputs.Output("--mask", mask, nifti.ENDINGS, "a case has a mask a slice: name a folder, or one NIfTI file")
    return outputs.Output("--mask", mask, nifti.ENDINGS if outputs.has_ending(mask, nifti.ENDINGS) else ())


def _write_masks(path: Path, masks: Any, exam: Any, is_case: bool) -> None:
    """``masks (n, H, W)`` in {0, 1}: as one volume, a file a slice, or one file."""
    from brain_tumor.cli import outputs
    from brain_tumor.data import nifti
    from brain_tumor.report.figures import overlay

    if outputs.has_ending(path, nifti.ENDINGS):
        nifti.write_mask(path, masks, exam.spacing_mm, exam.grid)
    else:
        for number, plane in zip(exam.asked, masks, strict=True):
            overlay.save_picture(plane * 255, path / f"{exam.name}_{number}_mask.tif" if is_case else path)
    typer.echo(f"mask: {path}")


def _numbered(depths: Any, labels: str) -> Any:
    """The regions that a network tells apart, in the numbers of a convention, which are said."""
    from brain_tumor.data.labels import CONVENTIONS, labels as numbers

    convention = CONVENTIONS[labels]
    typer.echo(
        f"labels: {', '.join(f'{number} {tissue}' for number, tissue in convention.labels.items())} ({convention.used_by})"
    )
    return numbers(depths, convention)


def _classify(answer: Any, threshold: float) -> None:
    for number, probability in zip(answer.slice_numbers, answer.probability, strict=True):
        typer.echo(f"slice {number}: {probability:.3f}{'  tumour' if probability > threshold else ''}")
    slices = f"{(answer.probability > threshold).sum()} of {len(answer.probability)} slices"
    typer.echo(f"{answer.case_id}: tumour called in {slices} (probability above {threshold:.3g})")


def _outline(finding: Any, exam: Any, predictor: Any, out: Path) -> None:
    """Draw the outlines, and say how much they hold."""

    from brain_tumor.report.figures import overlay

    masks, numbers, name = finding.masks, finding.outline.slice_numbers, finding.outline.case_id
    images, channel = exam.images[exam.rows], predictor.reference
    alone = len(numbers) == 1
    picture = overlay.outlined(images[0], masks[0], channel) if alone else overlay.contact_sheet(images, masks, numbers, channel)
    overlay.save_picture(picture, out)
    typer.echo(
        f"{name}: tumour called in {masks.any(axis=(1, 2)).sum()} of {len(numbers)} slices, "
        f"{masks.sum():,} px in all, slices of {images.shape[2]} x {images.shape[1]}; "
        f"highest pixel probability {finding.outline.native.max() / 255:.3f}"
    )
    typer.echo(f"overlay: {out}")
