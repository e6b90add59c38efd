"""Epochs on the device: the batches of the host, by number, train, measure and leave behind what the step loop does."""

import io
import logging
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from brain_tumor.data import intensity
from brain_tumor.errors import RunError
from brain_tumor.models import backend
from brain_tumor.training import losses, stages
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

if keras.backend.backend() != "jax":
    pytest.skip("only JAX runs epochs without the host", allow_module_level=True)

from brain_tumor.models import on_jax
from brain_tumor.training import resident

pytestmark = pytest.mark.backend

FAR = Augmentation(flip=True, rotation_degrees=30, zoom=0.3, gamma=0.5, sequence_dropout=0.5)
INTENSITY_ALONE = replace(FAR, rotation_degrees=0, zoom=0)
SEEDS = range(4)
BATCH = 4
STAGES = {
    "adamw": (Stage("decoder", 1, 1e-2, part="decoder"), Stage("all", 2, 1e-2)),
    "sgd": (Stage("all", 2, 1e-1, optimiser="sgd", schedule="constant"),),
}


def noise(n=12, size=48, channels=3, normalisation="raw", reference=0, **changes):
    """Slices of noise and their masks; ``raw`` leaves their levels as they are. Two rows in three belong to the part."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (n, size, size, channels), np.uint8)
    masks = generator.integers(0, 2, (n, size, size), np.uint8)
    scalings = np.stack([intensity.scaling(image[None], normalisation) for image in images])
    return SliceArrays(images, masks, scalings, np.flatnonzero(np.arange(n) % 3), reference, **changes)


def pairs(arrays, augmentation, **options):
    """Images and truth of some batches, as the device and as the host makes them."""
    on_device, make = resident.put(arrays), on_jax.jax.jit(on_jax.batch)
    for seed in SEEDS:
        epoch = TrainingBatches(arrays, BATCH, augmentation, seed, epoch=1, **options)
        changes = resident.changes(epoch)
        for index in range(len(epoch)):
            of_batch = on_jax.Changes(*(values[index] for values in changes))
            yield [np.asarray(tensor) for tensor in make(on_device, of_batch)], epoch[index]


def test_images_agree_to_a_level_and_masks_but_for_ties():
    levels, pixels = [], []
    for (images, masks), (of_host, masks_of_host) in pairs(noise(), FAR):
        assert (images.dtype, images.shape) == (of_host.dtype, of_host.shape)
        assert (masks.dtype, masks.shape) == (masks_of_host.dtype, masks_of_host.shape)
        levels.append(np.abs(images - of_host))
        pixels.append(masks != masks_of_host)
    assert np.mean(np.array(levels) > 1) < 1e-3
    assert np.mean(pixels) < 1e-3


@pytest.mark.parametrize("normalisation", ["raw", "volume"])
def test_mirrored_slices_have_the_very_levels_of_the_host(normalisation):
    """A mask behind the sequences keeps its levels, and each slice has the scaling of its own case."""
    arrays = noise(channels=4, normalisation=normalisation, sequences=3, reference=1)
    for (images, masks), (of_host, masks_of_host) in pairs(arrays, INTENSITY_ALONE):
        np.testing.assert_array_max_ulp(images, of_host, maxulp=1)  # a fused multiplication may round once less
        np.testing.assert_array_equal(masks, masks_of_host)


def test_labels_come_with_their_slices_whatever_the_draw():
    """Classes drawn equally often, and channels that are assembled as they are asked for."""

    class Thrice:
        def __init__(self, planes):
            self.planes, self.shape = planes, (*planes.shape, 3)

        def __getitem__(self, rows):
            return np.repeat(self.planes[rows][..., None], 3, axis=-1)

    arrays = noise()
    labelled = replace(arrays, images=Thrice(arrays.images[..., 0]), targets=(np.arange(12) % 4 == 0).astype(np.uint8))
    for (images, labels), (of_host, labels_of_host) in pairs(labelled, INTENSITY_ALONE, balance="sampling"):
        np.testing.assert_array_equal(images, of_host)
        np.testing.assert_array_equal(labels, labels_of_host)


def network() -> keras.Model:
    """An encoder and a head, with statistics and random numbers of their own: quick to compile."""
    images = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="encoder1_conv")(images)
    x = keras.layers.BatchNormalization(momentum=0.9, name="encoder1_bn")(x)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="decoder_conv")(x)
    x = keras.layers.Dropout(0.2, name="decoder_dropout")(x)
    return keras.Model(images, keras.layers.Conv2D(1, 3, padding="same", name="final_conv")(x))


def train_into(folder, slices, plan, on_device=True, callbacks=(), **options):
    """A network and the history of its training on 14 slices; six, which are no whole batches, are held out.

    The augmentation is one of which host and device make the same bits.
    """
    keras.utils.set_random_seed(0)
    model = network()
    part, held_out = (replace(slices, rows=slices.rows[rows]) for rows in (np.s_[:14], np.s_[10:]))

    def epoch_batches(epoch):
        return TrainingBatches(part, BATCH, INTENSITY_ALONE, 0, epoch)

    learning = losses.make("bce-dice"), RunFolder(folder), held_out, (losses.dice_hits, losses.dice_area)
    return model, stages.train(model, plan, epoch_batches, *learning, callbacks=callbacks, on_device=on_device, **options)


@pytest.fixture(scope="module", params=STAGES)
def plan(request):
    return STAGES[request.param]


@pytest.fixture(scope="module")
def folder(plan, tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def on_device(plan, folder, make_slices):
    """The model and its history; what the bar said; and how often an epoch was compiled up to each epoch's end.

    ``folder/stopped`` is the run as Ctrl-C leaves it in its last epoch.
    """
    last = sum(stage.epochs for stage in plan) - 1
    notes, advance, compiled, log = [], stages.Bar.advance, [], io.StringIO()

    def advance_and_note(bar, steps=1, note=""):
        advance(bar, steps, note)
        notes.extend([note] * steps)

    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _logs: epoch == last and shutil.copytree(folder / "device", folder / "stopped"),
        on_epoch_end=lambda _epoch, _logs: compiled.append(log.getvalue().count("XLA compilation of jit(scan)")),
    )
    handler = logging.StreamHandler(log)
    logging.getLogger("jax").addHandler(handler)
    with pytest.MonkeyPatch.context() as patch, on_jax.jax.log_compiles():
        patch.setattr(stages.Bar, "advance", advance_and_note)
        model, history = train_into(folder / "device", make_slices(), plan, callbacks=[watch])
    logging.getLogger("jax").removeHandler(handler)
    return model, history, notes, compiled


@pytest.fixture(scope="module")
def by_host(plan, folder, make_slices):
    """The model and the history."""
    return train_into(folder / "host", make_slices(), plan, on_device=False)


def test_an_epoch_on_the_device_trains_what_the_step_loop_trains(on_device, by_host, folder):
    for one, other in zip(on_device[0].variables, by_host[0].variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5, err_msg=one.path)
    assert [RunFolder(folder / name).description["batches"] for name in ("device", "host")] == ["device", "host"]


def test_the_history_is_that_of_the_step_loop(on_device, by_host, folder):
    history = RunFolder(folder / "device").history.to_dict("records")
    assert history == on_device[1]
    assert [list(row) for row in history] == [list(row) for row in by_host[1]]
    assert {"dice", "validation_loss", "validation_dice"} <= set(history[0])
    for row, of_host in zip(history, by_host[1], strict=True):
        assert row.pop("stage") == of_host["stage"]
        assert row == pytest.approx({name: of_host[name] for name in row} | {"seconds": row["seconds"]}, rel=1e-4)


def test_each_step_moves_the_bar(on_device):
    _, history, notes, _ = on_device
    expected = [f"epoch {row['epoch']}/{len(history)}" for row in history for _ in range(3)]
    assert [note.split("  loss ")[0] for note in notes] == expected


def test_a_stage_is_compiled_once(on_device):
    """For training, for whole batches of validation, and for the last one."""
    _, history, _, compiled = on_device
    stage = [row["stage"] for row in history]
    assert compiled == [3 * len(set(stage[: epoch + 1])) for epoch in range(len(stage))]


def test_an_interrupted_run_resumes_to_the_same_bits(on_device, plan, folder, make_slices):
    run = RunFolder(folder / "stopped")
    assert run.read_checkpoint()[0] == len(run.history) == len(on_device[1]) - 1
    resumed, history = train_into(run.path, make_slices(), plan)
    for one, other in zip(resumed.variables, on_device[0].variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    for row, straight in zip(history, on_device[1], strict=True):
        assert row == straight | {"seconds": row["seconds"]}


def test_a_loss_that_is_no_number_ends_the_run(make_slices, tmp_path):
    with pytest.raises(RunError, match=r"the loss became nan.* in epoch 1; a lower max_lr than 1e\+38 may help"):
        train_into(tmp_path, make_slices(), (Stage("all", 2, max_lr=1e38),))
    assert RunFolder(tmp_path).read_checkpoint() == (0, []), "a state that is lost is not kept"


def test_what_the_device_cannot_do_alone_is_left_to_the_host(monkeypatch):
    arrays = noise()
    plain = TrainingBatches(arrays, BATCH, FAR, 0, 0)
    assert resident.usable(plain, arrays, ())
    assert resident.usable(plain, None, [keras.callbacks.EarlyStopping(), keras.callbacks.LambdaCallback(on_epoch_end=print)])
    assert not resident.usable(plain, None, [keras.callbacks.LambdaCallback(on_train_batch_end=print)])
    assert not resident.usable(plain, None, [keras.callbacks.TerminateOnNaN()])
    assert not resident.usable(TrainingBatches(arrays, BATCH, FAR, 0, 0, own=lambda *batch: batch[:2]), None, ())
    volumes = replace(arrays, images=arrays.images[:, None], targets=arrays.targets[:, None])
    assert not resident.usable(TrainingBatches(volumes, BATCH, FAR, 0, 0), None, ())
    sizes = []
    monkeypatch.setattr(on_jax, "fits", sizes.append)
    assert not resident.usable(plain, arrays, ())
    assert sizes == [2 * 8 * 48 * 48 * 4], "images and masks of the eight slices of either part"


def test_slices_may_take_half_of_the_devices_memory(monkeypatch):
    class Device:
        def memory_stats(self):
            return {"bytes_limit": 1000}

    monkeypatch.setattr(on_jax.jax, "local_devices", lambda: [Device()])
    assert on_jax.fits(500) and not on_jax.fits(501)


def test_a_processor_leaves_it_to_the_host():
    assert not backend.without_host()


def test_averages_are_those_of_the_step_loop(tmp_path, make_slices):
    plan = STAGES["adamw"][1:]
    device, host, last = (
        train_into(tmp_path / name, make_slices(20), plan, on_device=on, average=average)[0].get_weights()
        for name, on, average in (("device", True, 0.9), ("host", False, 0.9), ("last", True, 0.0))
    )
    for one, other, unlike in zip(device, host, last, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        if one.size > 2:  # not a random state
            assert np.abs(one - unlike).max() > 1e-4


@pytest.mark.parametrize("changes", [{"warp": 0.1}, {"elastic": 0.02}, {"bias_field": 0.2}, {"copy_paste": 0.3}], ids=str)
def test_what_is_more_than_matrices_and_curves_is_made_by_the_host(make_slices, changes):
    arrays = replace(make_slices(8), owners=np.arange(8))
    assert resident.usable(TrainingBatches(arrays, BATCH, FAR, 0, 0), None, ())
    assert not resident.usable(TrainingBatches(arrays, BATCH, replace(FAR, **changes), 0, 0), None, ())
    assert resident.usable(TrainingBatches(arrays, BATCH, replace(FAR, brightness=0.3, contrast=0.3), 0, 0), None, ())
