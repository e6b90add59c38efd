"""`search` prints every trial, best first, and the command that scores the best."""

SMALL = ("--cohort", "phantom", "--split", "ratio-33", "--size", "32", "--batch-size", "4", "--epochs", "1", "--model", "plain")


def test_it_needs_patients_to_choose_on(home, small_phantom, command):
    assert command("search", "classification", *SMALL).refuses("validation part")
    assert not (home / "runs").exists()


def test_it_ends_with_the_best_and_its_command(home, small_phantom, command):
    words = (*SMALL, "--validation", "0.5", "--trials", "2", "--vary", "max_lr", "--precision", "float32")
    answer = command("search", "classification", *words)
    assert answer.code == 0, answer.err
    assert answer.out.count("of 2: run phantom-ratio-33-plain-32") == 2
    best = next(line for line in answer.out.splitlines() if line.startswith("next: ")).split()[-1]
    assert (home / "runs" / best / "history.csv").is_file()
    assert "its command: brain-tumor train classification" in answer.out and "--validation 0.5" in answer.out
