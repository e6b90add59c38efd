"""What a person's own Keras settings say changes no training."""

import numpy as np
import pytest

pytestmark = pytest.mark.backend


def test_training_gives_the_same_bits_and_leaves_the_users_settings(train_small, slices, users_settings, tmp_path):
    expected, history = train_small(tmp_path / "defaults", validation=slices)
    read = users_settings()
    before = read()
    model, others = train_small(tmp_path / "theirs", validation=slices)
    for value, other in zip(expected.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)
        assert other.dtype == np.float32
    losses = [[(row["loss"], row["validation_loss"], row["dice"]) for row in rows] for rows in (history, others)]
    assert losses[0] == losses[1]
    assert read() == before == ("mixed_float16", "float16", "channels_first", 1e-3)
