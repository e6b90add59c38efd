"""Figures: they show what their tables hold, say it in words, and know whether they hold pixels of an exam."""

import base64
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from brain_tumor.evaluation import overlap, seeds
from brain_tumor.records import records
from brain_tumor.report import figures, tables
from brain_tumor.report.figures import drawing, errors, slices
from brain_tumor.training.plan import Stage


@pytest.fixture
def counts(make_run):
    return records.read_counts(make_run().path)


def image_of(figure) -> Image.Image:
    return Image.open(io.BytesIO(figure.encoded()))


def test_a_drawing_is_shown_as_an_image_with_words(store):
    figure = figures.plot_tumour_areas(store.slices)
    data, metadata = figure._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    assert image_of(figure).format == "PNG"
    assert base64.b64decode(data["image/png"]) == figure.encoded()
    assert str(store.slices.tumour_px.max()) in metadata["image/png"]["alt"]


def test_the_same_drawing_gives_the_same_bytes(store):
    assert figures.plot_slices_by_site(store.cases).encoded() == figures.plot_slices_by_site(store.cases).encoded()


def test_cohort_figures_draw_every_patient_and_slice(store):
    areas = figures.plot_tumour_areas(store.slices).axes[0]
    assert sum(bar.get_height() for bar in areas.patches) == (store.slices.tumour_px > 0).sum()
    sites = figures.plot_slices_by_site(store.cases).axes[0]
    assert sum(bar.get_height() for bar in sites.patches) == store.cases.slices.sum() + store.cases.tumour_slices.sum()
    lines = figures.plot_tumour_position(store.slices).axes[1].collections[0]
    assert len(lines.get_segments()) == len(store.cases)


def test_blank_codes_are_a_group_of_their_own():
    table = pd.DataFrame({"tumour_px": [10, 20, 30], "cluster": [1.0, np.nan, 1.0]})
    labels = [text.get_text() for text in figures.plot_volume_by_code(table, "cluster").axes[0].get_xticklabels()]
    assert labels == ["1\n2 patients", "blank\n1 patients"]


def test_protocols_show_score_interval_and_floor(counts):
    scores = seeds.mean_scores([counts])
    scores = scores[scores["size"] == 64]
    axes = figures.plot_protocols({"a network": scores}).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), scores.dice)
    intervals, floors = axes.collections
    np.testing.assert_allclose([segment[:, 0] for segment in intervals.get_segments()], scores[["low", "high"]])
    np.testing.assert_allclose([segment[0, 0] for segment in floors.get_segments()], scores.floor)


def test_patients_are_sorted_and_the_floor_is_drawn(counts):
    cases = overlap.per_case(counts[counts["size"] == 64]).reset_index()
    axes = figures.plot_case_scores({"one": cases, "two": cases.assign(dice=cases.dice / 2)}, floor=0.1).axes[0]
    assert list(axes.lines[0].get_ydata()) == sorted(cases.dice, reverse=True)
    assert axes.lines[2].get_ydata()[0] == 0.1


def test_history_marks_where_a_stage_begins():
    table = pd.DataFrame({"epoch": [1, 2, 3], "stage": ["head", "all", "all"], "loss": [3, 2, 1.0], "dice": [0.1, 0.2, 0.3]})
    table = table.assign(learning_rate=1e-3, validation_loss=2.0, validation_dice=0.2)
    axes = figures.plot_history({"a run": table}).axes[0]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"] == [1.5]
    assert any(line.get_linestyle() == "--" for line in axes.lines), "the validation part"


def test_a_classifiers_history_shows_its_accuracy(make_classifier):
    figure = figures.plot_history({"a run": make_classifier().history})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy", "learning rate"]
    assert figure.alt.startswith("Training loss and accuracy by epoch")


def test_a_cycle_rises_for_its_share_while_momentum_falls():
    figure = figures.plot_cycle(Stage("all", 2, 1e-3, pct_start=0.3), steps=50)
    (rates, *_), (momenta, *_) = (axes.lines for axes in figure.axes)
    assert rates.get_ydata().argmax() == 30 and rates.get_ydata().max() == pytest.approx(1e-3)
    assert momenta.get_ydata().argmin() == 30 and len(rates.get_xdata()) == 100


def test_dice_by_area_leaves_empty_slices_out(counts):
    native = counts[counts["size"] == 64]
    dots = figures.plot_dice_by_area(native).axes[0].collections[0]
    assert len(dots.get_offsets()) == (native.tp + native.fn > 0).sum()


def show_all(store):
    case_id = store.cases.index[0]
    masks = store.masks[store.rows_of(case_id)]
    numbers = np.arange(1, len(masks) + 1)
    return [
        figures.show_gallery(store, [0, 1, 2]),
        figures.show_sequences(store, case_id, 4),
        figures.show_case(store, case_id, masks * 255),
        figures.show_predictions(store, {case_id: masks * 255}, {case_id: numbers}),
    ]


def test_pictures_know_whose_pixels_they_hold(store):
    for figure in show_all(store):
        data, _metadata = figure._repr_mimebundle_()
        assert data[drawing.PIXELS_MIME] == {"pixels": "phantom"}
        assert "Phantom" in figure.alt
    patients = dataclasses.replace(store, cohort=dataclasses.replace(store.cohort, phantom=False))
    for figure in show_all(patients):
        assert figure._repr_mimebundle_()[0][drawing.PIXELS_MIME] == {"pixels": "patients"}
        assert "hantom" not in figure.alt
        assert image_of(figure).format == "JPEG"


def test_every_function_that_draws_pixels_is_called_show():
    drawn_from_pixels = {
        name for name in figures.__all__ if getattr(figures, name).__module__ in (slices.__name__, errors.__name__)
    }
    assert {name for name in figures.__all__ if name.startswith("show_")} == drawn_from_pixels - {"best_median_worst"}
    assert drawn_from_pixels == {
        "show_gallery", "show_picture", "show_sequences", "show_case", "show_predictions", "show_errors", "show_exam",
        "best_median_worst",
    }  # fmt: skip


def test_truth_and_prediction_are_outlined_where_they_are(store):
    case_id = store.cases.index[0]
    masks = store.masks[store.rows_of(case_id)]
    number = int(masks.sum(axis=(1, 2)).argmax())
    figure = figures.show_case(store, case_id, masks * 255)
    panel = figure.axes[number]
    assert [to_hex(line.get_edgecolor()[0]).upper() for line in panel.collections] == [drawing.TRUTH, drawing.PREDICTED]
    vertices = panel.collections[0].get_paths()[0].vertices
    rows, columns = np.nonzero(masks[number])
    assert vertices[:, 1].min() == pytest.approx(rows.min() - 0.5)
    assert vertices[:, 0].max() == pytest.approx(columns.max() + 0.5)


def test_best_median_and_worst_are_named_once():
    cases = pd.DataFrame({"case_id": list("abcde"), "dice": [0.5, 0.9, 0.1, 0.7, 0.3]})
    assert figures.best_median_worst(cases) == ["b", "a", "e", "c"]
    assert figures.best_median_worst(cases.head(1)) == ["a"]


def test_the_architecture_is_read_off_the_model():
    from brain_tumor.models import unet

    model = unet.resunet(64, filters=(8, 16, 24))
    words = [text.get_text() for text in figures.plot_architecture(model).axes[0].texts]
    assert [word for word in words if "filters" in word] == [
        "64 × 64, 8 filters", "64 × 64, 8 filters", "32 × 32, 16 filters", "32 × 32, 16 filters", "16 × 16, 24 filters"
    ]  # fmt: skip
    assert [word for word in words if "skip" in word] == ["skip, 8", "skip, 16"]
    weights = sum(int(word.split(", ")[1].removesuffix(" weights").replace(",", "")) for word in words if " weights" in word)
    assert weights == model.count_params()


def test_a_network_of_one_level_is_drawn_too():
    from brain_tumor.models import unet

    figure = figures.plot_architecture(unet.resunet(32, filters=(4,)))
    assert "one resolution, 32 pixels" in figure.alt
    assert figure.axes[0].texts[0].get_text() == "32 × 32, 4 filters"


def test_a_classifier_is_drawn_with_its_linear_layers_and_no_way_up():
    from brain_tumor.models.classifier import plain

    model = plain(32)
    figure = figures.plot_architecture(model)
    words = [text.get_text() for text in figure.axes[0].texts]
    linear = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
    assert [word for word in words if word.startswith("linear")] == [f"linear, {layer.units}" for layer in linear]
    assert [word for word in words if "filters" in word] == ["32 × 32, 16 filters", "16 × 16, 32 filters"]
    counted = [word for word in words if word.endswith(" weights")]
    weights = sum(int(word.split(", ")[-1].removesuffix(" weights").replace(",", "")) for word in counted if "conv." in word)
    weights += sum(int(word.removesuffix(" weights").replace(",", "")) for word in counted if "conv." not in word)
    assert weights == model.count_params()
    assert "3 linear layers" in figure.alt and "flattened" in words


def test_tables_say_score_interval_floor_and_meaning(counts):
    table = tables.score_table(seeds.mean_scores([counts]))
    assert list(table.columns) == ["size", "score", "95 % interval", "floor", "empty slices", "what it means"]
    assert " to " in table["95 % interval"].iloc[0]
    assert table.floor.iloc[0].endswith(", all empty")


def test_a_ceiling_stands_beside_scores_that_have_one(counts):
    scores = seeds.mean_scores([counts])
    scores["ceiling"] = [0.9731, np.nan] * (len(scores) // 2)
    table = tables.score_table(scores)
    assert list(table.columns) == ["size", "score", "95 % interval", "floor", "ceiling", "empty slices", "what it means"]
    assert table.ceiling.tolist()[:2] == ["0.973", "–"]
    assert "ceiling" not in tables.score_table(scores[scores.ceiling.isna()])


def test_a_score_below_its_floor_says_so(counts):
    scores = seeds.mean_scores([counts])
    scores.loc[0, "floor"], scores.loc[0, "floor_name"] = 1.0, "mean mask"
    table = tables.score_table(scores)
    assert table.score.iloc[0] == f"{scores.dice[0]:.3f}, below its floor"
    assert table.floor.iloc[0] == "1.000, mean mask"
    assert "below" not in table.score.iloc[-1]


def test_scores_of_older_records_are_still_shown(counts):
    """They have five protocols, and the all-empty prediction as their only floor."""
    scores = seeds.mean_scores([counts]).drop(columns="floor_name")[3:8]
    table = tables.score_table(scores)
    assert len(table) == 5
    assert all(floor.endswith(", all empty") for floor in table.floor)
    assert len(figures.plot_protocols({"a network": scores}).axes[0].get_yticks()) == 5


def test_blank_clinical_fields_are_counted_not_filled(phantom_cohort):
    table = tables.clinical_table(phantom_cohort.cases)
    assert (table.known + table.blank == len(phantom_cohort)).all()
    assert table.blank.sum() > 0
