"""`grid` refuses in one line, before anything is trained."""

import pytest


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--cohort", "phantom", "--cells", "3,99"), ("no cell '99'", "expected some of 1, 2")),
        (("--cohort", "phantom", "--cells", ""), ("no cell ''", "expected some of 1, 2")),
        (("--cohort", "phantom", "--cells", ","), ("no cell ','", "expected some of 1, 2")),
        (("--cohort", "brats"), ("brats", "lgg, phantom or phantombrats")),
    ],
    ids=["cell", "empty", "comma", "cohort"],
)
def test_what_there_is_not_is_refused(home, small_phantom, command, words, named):
    assert command("grid", "classification", *words).refuses(*named)
    assert not (home / "runs").exists()


def test_weights_that_are_not_here_are_named_with_the_command_that_makes_them(home, small_phantom, command):
    answer = command("grid", "classification", "--cohort", "phantom", "--cells", "3")
    assert answer.refuses("mri4", "brain-tumor pretrain")
    assert not (home / "runs").exists()
