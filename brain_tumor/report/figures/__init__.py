"""Figures: each function returns a :class:`Drawing`, and ``figures.plot_...`` or ``figures.show_...`` reaches all of them.

Functions named ``show_`` draw pixels of patients; the published export leaves those out (DESIGN law 9).
"""

from brain_tumor.report.figures.architecture import plot_architecture
from brain_tumor.report.figures.boundary import plot_boundary, plot_lost_dice, plot_thresholds
from brain_tumor.report.figures.cohort import (
    plot_neighbour_overlap,
    plot_slices_by_site,
    plot_tumour_areas,
    plot_tumour_position,
    plot_volume_by_code,
)
from brain_tumor.report.figures.errors import show_errors
from brain_tumor.report.figures.evaluation import (
    plot_dice_iou,
    plot_differences,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
    plot_spread,
    plot_subgroups,
)
from brain_tumor.report.figures.regions import plot_agreement, plot_regions
from brain_tumor.report.figures.scores import plot_case_scores, plot_dice_by_area, plot_protocols
from brain_tumor.report.figures.slices import (
    best_median_worst,
    show_case,
    show_exam,
    show_gallery,
    show_picture,
    show_predictions,
    show_sequences,
)
from brain_tumor.report.figures.training import plot_cycle, plot_history, plot_rates

__all__ = [
    "best_median_worst",
    "plot_agreement",
    "plot_architecture",
    "plot_boundary",
    "plot_case_scores",
    "plot_cycle",
    "plot_dice_by_area",
    "plot_dice_iou",
    "plot_differences",
    "plot_history",
    "plot_lost_dice",
    "plot_neighbour_overlap",
    "plot_precision_recall",
    "plot_protocols",
    "plot_rates",
    "plot_regions",
    "plot_reliability",
    "plot_roc",
    "plot_slices_by_site",
    "plot_spread",
    "plot_subgroups",
    "plot_thresholds",
    "plot_tumour_areas",
    "plot_tumour_position",
    "plot_volume_by_code",
    "show_case",
    "show_errors",
    "show_exam",
    "show_gallery",
    "show_picture",
    "show_predictions",
    "show_sequences",
]
