"""``brain-tumor predict``: a trained run on one picture or one case."""

from pathlib import Path

import typer

PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


def predict(
    run: str = typer.Argument(help="A run's name, the beginning of it, or its folder."),
    what: str = typer.Argument(
        metavar="IMAGE_OR_CASE", help="A slice as a picture file, a case's folder, or a case of the run's cohort."
    ),
    out: Path = typer.Option(None, help="Where the overlay of an outline goes: .png, .tif or .jpg."),
    mask: Path = typer.Option(None, help="Also write the mask, 0 and 255: one picture, or a folder for a case."),
) -> None:
    """Outline the tumour in one slice or one case, or tell which slices show one. Research use only: not for diagnosis."""
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.errors import DataError
    from brain_tumor.experiments.run import finished_recipe
    from brain_tumor.models import saved
    from brain_tumor.training.runs import find_run

    if out and out.suffix.lower() not in PICTURES:
        raise DataError(f"{out}: an overlay is written as {', '.join(PICTURES)}")
    folder = find_run(run)
    recipe = finished_recipe(folder)
    outlines = recipe.LEARNS_MASKS
    if outlines and not out:
        raise DataError(f"{folder.path.name}: outlines tumours; say where the overlay goes with --out")
    if not outlines and (out or mask):
        raise DataError(
            f"{folder.path.name}: tells slices with tumour from others, it outlines nothing; leave out --out and --mask"
        )
    exam = _read(what, recipe)
    model = saved.load(folder.path, folder.description["precision"])
    if outlines:
        _outline(model, recipe, *exam, out, mask)
    else:
        _classify(model, recipe, *exam, folder.description.get("threshold", recipe.threshold))
    typer.echo(f"research use only, not for diagnosis; run {folder.path.name}")


def _classify(model, recipe, images, numbers, name: str, wanted, threshold: float) -> None:
    from brain_tumor.inference.predict import classify_case

    found = classify_case(model, images, recipe.normalisation, name, wanted + 1, recipe.flip_tta, recipe.channels)
    for number, probability in zip(numbers[wanted], found, strict=True):
        typer.echo(f"slice {number}: {probability:.3f}{'  tumour' if probability > threshold else ''}")
    typer.echo(f"{name}: tumour called in {(found > threshold).sum()} of {len(found)} slices (probability above {threshold:.3g})")


def _outline(model, recipe, images, numbers, name: str, wanted, out: Path, mask: Path | None) -> None:
    import numpy as np

    from brain_tumor.inference.predict import predict_case
    from brain_tumor.report.figures import overlay

    prediction = predict_case(model, images, recipe.normalisation, name, wanted + 1, recipe.flip_tta)
    masks = (prediction.native > recipe.threshold * 255).astype(np.uint8)
    one = len(wanted) == 1
    shown, numbers = images[wanted], numbers[wanted]
    picture = overlay.outlined(shown[0], masks[0]) if one else overlay.contact_sheet(shown, masks, numbers)
    overlay.save_picture(picture, out)
    if mask:
        for number, plane in zip(numbers, masks, strict=True):
            overlay.save_picture(plane * 255, mask if one else mask / f"{name}_{number}_mask.tif")
    called = masks.any(axis=(1, 2))
    typer.echo(
        f"{name}: tumour called in {called.sum()} of {len(numbers)} slices, "
        f"{masks.sum():,} px of {images.shape[2]} x {images.shape[1]} a slice; "
        f"highest pixel probability {prediction.native.max() / 255:.3f}"
    )
    typer.echo(f"overlay: {out}")


def _read(what: str, recipe) -> tuple:
    """The images ``(Z, H, W, 3)`` uint8 of an exam, the numbers of its slices, a name, and the places of the slices wanted."""
    import numpy as np

    from brain_tumor.data.cache import SMALLEST
    from brain_tumor.data.fingerprints import is_blank
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.data.picture import read_picture
    from brain_tumor.data.readers import lgg
    from brain_tumor.errors import DataError

    path = Path(what)
    if path.is_dir():
        images, numbers = lgg.read_images(path)
        return images, numbers, path.resolve().name, np.arange(len(images))
    if path.suffix.lower() not in PICTURES:
        case = open_cohort(recipe.cohort)[what]
        return case.load()[0], np.array(case.slice_numbers), case.case_id, np.arange(len(case.slice_numbers))
    image = read_picture(path, ("RGB", "L", "RGBA", "LA"))
    if image.ndim == 3 and image.shape[2] in (2, 4):  # how much of a screenshot shines through is no part of an exam
        image = image[..., :3] if image.shape[2] == 4 else image[..., 0]
    if min(image.shape[:2]) < SMALLEST:
        raise DataError(f"{path}: {image.shape[1]} x {image.shape[0]} pixels, expected at least {SMALLEST} x {SMALLEST}")
    if is_blank(image):
        raise DataError(f"{path}: a picture of nearly one grey value: there is nothing to see on it")
    by_exam = recipe.normalisation == "volume" or recipe.channels == "neighbours"
    if image.ndim == 3 and by_exam and lgg.has_its_exam(path):
        images, numbers = lgg.read_images(path.parent)
        return images, numbers, path.stem, np.flatnonzero(numbers == int(path.stem.rsplit("_", 1)[1]))
    if image.ndim == 2:
        typer.echo(f"{path}: one channel, taken as FLAIR and given to all three, as the dataset does for missing sequences")
        image = np.repeat(image[..., None], 3, axis=-1)
    if by_exam:
        typer.echo(f"{path}: a slice without its exam, which this network takes into account: trust the answer less")
    return image[None], np.array([1]), path.stem, np.array([0])
