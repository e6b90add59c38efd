"""The facts of a cohort, computed from its pixels and tables: what a reader should know before believing any score."""

import numpy as np
import pandas as pd
from scipy import ndimage

from brain_tumor.data.cache import Store
from brain_tumor.data.cohort import title_of
from brain_tumor.data.readers.lgg import SITES
from brain_tumor.progress import tracked

SMALL_AREAS = (50, 200, 500)  # px: areas under which a tumour slice counts as small
NEIGHBOURS_3D = np.ones((3, 3, 3), int)  # 26-connectivity


def profile(store: Store) -> dict:
    """The facts of whatever cohort a native store holds; JSON-able.

    Areas are in pixels of the native size. A case's tumour is contiguous where no slice without tumour lies between two
    with; its components are 26-connected in 3-D; the Dice of two adjacent tumour slices says how alike neighbours are,
    which is what a split by slices leaks.
    """
    slices, cases = store.slices, store.cases
    outlined = store.cohort.outlined
    areas = slices.tumour_px[slices.tumour_px > 0]
    shapes = {
        case_id: _shape_of_case(store.masks[store.rows_of(case_id)])
        for case_id in tracked(cases.index, f"profiling {store.cohort.name}")
    }
    alike = np.concatenate([shape["adjacent_dice"] for shape in shapes.values()])
    missing = cases.missing.str.split("+")
    reference = store.cohort.sequences[store.cohort.reference]
    sequences = [sequence for sequence in store.cohort.sequences if sequence != reference]
    all_missing = cases.index[[bool(sequences) and set(sequences) <= set(names) for names in missing]]
    return {
        "cohort": store.cohort.name,
        "phantom": store.cohort.phantom,
        "copies_of_the_tree": store.cohort.copies,
        "data_hash": store.data_hash,
        "size": store.size,
        "outlined": outlined,
        "spacing_mm": sorted({case.spacing_mm for case in store.cohort if case.spacing_mm}),
        "cases": len(cases),
        "patients": int(cases.patient.nunique()) if (cases.patient != "").all() else None,
        "slices": len(slices),
        "tumour_slices": len(areas),
        "empty_slices": len(slices) - len(areas),
        "tumour_share": round(len(areas) / len(slices), 4),
        "always_no_accuracy": round(1 - len(areas) / len(slices), 4),
        "patients_without_tumour": int((cases.tumour_slices == 0).sum()),
        "slices_per_patient": _spread(cases.slices),
        "tumour_slices_per_patient": _spread(cases.tumour_slices),
        "sites": {
            site: {
                "name": SITES.get(site, "") if store.cohort.name == "lgg" else "",
                "patients": len(group),
                "slices": int(group.slices.sum()),
            }
            for site, group in cases[cases.site != ""].groupby("site")
        },
        "missing_sequences": {
            **{sequence: sorted(cases.index[[sequence in names for names in missing]]) for sequence in sequences},
            f"all_but_{reference}": sorted(all_missing),
        },
        "tumour_area_px": _spread(areas) | {f"under_{limit}": int((areas < limit).sum()) for limit in SMALL_AREAS},
        **({"regions": _regions(store)} if len(store.cohort.regions) > 1 else {}),
        "tumour_contiguous_in_z": sum(shape["contiguous"] for shape in shapes.values()),
        "tumour_with_gaps_in_z": sorted(case_id for case_id, shape in shapes.items() if not shape["contiguous"]),
        "more_than_one_component": {case_id: shape["components"] for case_id, shape in shapes.items() if shape["components"] > 1},
        "adjacent_tumour_slices_dice": {
            "pairs": len(alike),
            "mean": round(float(alike.mean()), 4) if len(alike) else None,
            "median": round(float(np.median(alike)), 4) if len(alike) else None,
        },
        "blank_clinical_fields": _blanks(store),
    }


def table(facts: dict) -> list[tuple[str, str]]:
    """The facts of :func:`profile` as rows of words, for printing."""
    area, alike, missing = facts["tumour_area_px"], facts["adjacent_tumour_slices_dice"], facts["missing_sequences"]
    *_, last = missing  # all_but_flair
    reference = last.removeprefix("all_but_")
    blanks = [f"{column} {count}" for column, count in facts["blank_clinical_fields"].items() if count]
    several = [f"{case_id} ({count})" for case_id, count in facts["more_than_one_component"].items()]
    contiguous = f"{facts['tumour_contiguous_in_z']} of {facts['cases']} patients"
    sites = [
        (f"site {site} {row['name']}".rstrip(), f"patients {row['patients']}, slices {row['slices']:,}")
        for site, row in facts["sites"].items()
    ]
    shapes = [
        ("tumour area, px", _range(area)),
        ("small tumour slices", ", ".join(f"{area[f'under_{limit}']} under {limit} px" for limit in SMALL_AREAS)),
        ("tumour contiguous in z", f"{contiguous}; with gaps: {_named(facts['tumour_with_gaps_in_z'])}"),
        ("tumour of more than one component", _named(several)),
        ("Dice of adjacent tumour slices", f"mean {alike['mean']}, median {alike['median']} ({alike['pairs']:,} pairs)"),
    ]
    sequences = [
        (
            f"all but {title_of(reference)} missing" if name == last else f"{name} missing (a copy of {title_of(reference)})",
            _named(cases),
        )
        for name, cases in missing.items()
        if len(missing) > 1  # one sequence cannot stand for another
    ]
    regions = [
        (f"region {name}, voxels an exam", f"{_range(row['voxels'])}; {row['exams_without']} exams without")
        for name, row in facts.get("regions", {}).items()
    ]
    return [
        _owners(facts),
        *([("spacing, mm (slices, height, width)", _spacings(facts["spacing_mm"]))] if facts["spacing_mm"] else []),
        ("slices", f"{facts['slices']:,} of {facts['size']} x {facts['size']} px"),
        ("tumour / empty slices", f"{facts['tumour_slices']:,} / {facts['empty_slices']:,} ({facts['tumour_share']:.2%} tumour)"),
        ("accuracy of always 'no'", f"{facts['always_no_accuracy']:.2%}"),
        ("slices a patient", _range(facts["slices_per_patient"])),
        ("tumour slices a patient", _range(facts["tumour_slices_per_patient"])),
        *sites,
        *sequences,
        *regions,
        *(shapes if facts["outlined"] else [("masks", "none: slices have labels")]),
        ("blank clinical fields", ", ".join(blanks) or "none"),
        ("copies of the tree in the source", str(facts["copies_of_the_tree"])),
        ("data hash", facts["data_hash"][:16]),
    ]


def _owners(facts: dict) -> tuple[str, str]:
    """How many patients there are, or how many cases where patients have several or nobody says whose they are."""
    without = f"{facts['patients_without_tumour']} without tumour"
    if facts["patients"] == facts["cases"]:
        return "patients", f"{facts['patients']}, of whom {without}"
    whose = "patients unknown" if facts["patients"] is None else f"of {facts['patients']} patients"
    return "cases", f"{facts['cases']} ({whose}), {without}"


def _spacings(spacings: list) -> str:
    more = f" and {len(spacings) - 3} more" if len(spacings) > 3 else ""
    return "; ".join(" x ".join(f"{size:g}" for size in spacing) for spacing in spacings[:3]) + more


def _regions(store: Store) -> dict[str, dict]:
    """Of each region how many voxels it has in the exams that have it, and how many have none."""
    depths = [np.bincount(store.depths[store.rows_of(case_id)].ravel(), minlength=256) for case_id in store.cases.index]
    voxels = np.array(depths)[:, ::-1].cumsum(axis=1)[:, ::-1]  # [exam, d]: voxels in d regions or more
    regions = {}
    for place, name in enumerate(store.cohort.regions, 1):
        present = voxels[voxels[:, place] > 0, place]
        regions[name] = {"exams_without": len(voxels) - len(present), "voxels": _spread(pd.Series(present))}
    return regions


def _shape_of_case(masks: np.ndarray) -> dict:
    """How one case's tumour lies in space, from ``masks (Z, H, W)``."""
    present = np.flatnonzero(masks.any((1, 2)))
    if not len(present):
        return {"contiguous": True, "components": 0, "adjacent_dice": []}
    boxed = masks[ndimage.find_objects(masks)[0]].astype(bool)
    areas = boxed.sum((1, 2))
    both = (boxed[1:] & boxed[:-1]).sum((1, 2))
    pairs = (areas[1:] > 0) & (areas[:-1] > 0)
    return {
        "contiguous": bool((areas > 0).all()),
        "components": int(ndimage.label(boxed, NEIGHBOURS_3D)[1]),
        "adjacent_dice": (2 * both[pairs] / (areas[1:] + areas[:-1])[pairs]).tolist(),
    }


def _blanks(store: Store) -> dict[str, int]:
    """Patients whose field is blank, by column; a patient who is not in the table has all of them blank."""
    return {
        column: int(count) for column, count in pd.DataFrame([dict(case.clinical) for case in store.cohort]).isna().sum().items()
    }


def _spread(values: pd.Series) -> dict:
    if values.empty:
        return {"min": None, "median": None, "max": None}
    return {"min": int(values.min()), "median": float(values.median()), "max": int(values.max())}


def _range(spread: dict) -> str:
    if spread["min"] is None:
        return "none"
    return f"{spread['min']:,} to {spread['max']:,}, median {spread['median']:,.0f}"


def _named(cases: list[str]) -> str:
    return f"{len(cases)}: {', '.join(cases)}" if cases else "none"
