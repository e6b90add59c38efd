"""The ground everything stands on: whole files or none, bars that a person can read, one root for data and runs."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from brain_tumor import files, paths, progress

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------------------------- files


def test_a_file_appears_whole_and_readable(tmp_path):
    final = tmp_path / "deep" / "table.csv"
    with files.atomic_path(final) as temporary:
        assert temporary.parent == final.parent, "beside its final name, or the rename would be a copy"
        temporary.write_text("new")
        assert not final.exists()
    assert final.read_text() == "new"
    assert listing(final.parent) == ["table.csv"]
    assert final.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    final = tmp_path / "table.csv"
    final.write_text("old")
    with pytest.raises(failure), files.atomic_path(final) as temporary:
        temporary.write_text("half of the n")
        raise failure
    assert final.read_text() == "old"
    assert listing(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("name", ["a.npz", "a.weights.h5", "a.nii.gz"])
def test_the_temporary_file_keeps_the_ending_that_writers_look_at(tmp_path, name):
    with files.atomic_path(tmp_path / name) as temporary:
        assert temporary.name.endswith(name.removeprefix("a"))


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    final = tmp_path / "table.csv"
    final.write_text("old")
    code = (
        "import os, sys, pathlib\nfrom brain_tumor import files\n"
        "with files.atomic_path(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n    os._exit(9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(final)], cwd=paths.CHECKOUT, check=False)
    assert killed.returncode == 9
    assert final.read_text() == "old"


def test_a_folder_appears_whole(tmp_path):
    final = tmp_path / "deep" / "store"
    with files.atomic_folder(final) as temporary:
        (temporary / "a.txt").write_text("a")
        assert not final.exists()
    assert listing(final) == ["a.txt"]
    assert listing(final.parent) == ["store"]
    assert final.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_folder_leaves_nothing(tmp_path, failure):
    with pytest.raises(failure), files.atomic_folder(tmp_path / "store") as temporary:
        (temporary / "a.txt").write_text("a")
        raise failure
    assert listing(tmp_path) == []


def test_a_folder_takes_the_place_of_an_old_one(tmp_path):
    for content in ("old", "new"):
        with files.atomic_folder(tmp_path / "store") as temporary:
            (temporary / f"{content}.txt").write_text(content)
    assert listing(tmp_path) == ["store"]
    assert listing(tmp_path / "store") == ["new.txt"]


def test_a_kill_while_the_old_folder_is_removed_leaves_the_new_one(tmp_path, monkeypatch):
    with files.atomic_folder(tmp_path / "store") as temporary:
        (temporary / "old.txt").write_text("old")
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_arguments, **_options: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), files.atomic_folder(tmp_path / "store") as temporary:
        (temporary / "new.txt").write_text("new")
    assert listing(tmp_path / "store") == ["new.txt"]


def test_json_round_trip_is_stable_and_readable(tmp_path):
    value = {"tumour": "Größe", "b": [1, 2.5, None], "a": True}
    files.write_json(tmp_path / "one.json", value)
    files.write_json(tmp_path / "two.json", dict(reversed(value.items())))
    assert files.read_json(tmp_path / "one.json") == value
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert "Größe" in (tmp_path / "one.json").read_text(encoding="utf-8")


def test_json_without_a_number_is_refused_and_the_old_file_stays(tmp_path):
    files.write_json(tmp_path / "a.json", {"loss": 0.5})
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert files.read_json(tmp_path / "a.json") == {"loss": 0.5}
    assert listing(tmp_path) == ["a.json"]


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_the_hash_of_json_depends_on_content_not_on_order(value):
    assert files.sha256_json(value) == files.sha256_json(dict(reversed(value.items())))
    assert files.sha256_json(value) == files.sha256_json(json.loads(json.dumps(value)))
    assert files.sha256_json(value) != files.sha256_json({**value, "more": 1})


@pytest.mark.parametrize("size", [0, 3, files.CHUNK_BYTES, files.CHUNK_BYTES + 1])
def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    assert files.sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_the_lock_lets_one_in_at_a_time(tmp_path):
    inside, most = 0, 0

    def visit():
        nonlocal inside, most
        with files.locked(tmp_path / "deep" / "lock"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    visitors = [threading.Thread(target=visit) for _ in range(5)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert most == 1


# ------------------------------------------------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def loud(monkeypatch):
    monkeypatch.delenv("BRAIN_TUMOR_QUIET", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (0.6, "0:01"), (75, "1:15"), (3599.4, "59:59"), (3600, "1:00:00"), (3700, "1:01:40")]
)
def test_clock(seconds, shown):
    assert progress.clock(seconds) == shown


def plain(stream):
    """What a terminal was sent, without its control codes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_a_bar_on_a_terminal_redraws_one_line(loud, monkeypatch):
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress.Bar("caching", 4, stream=stream) as bar:
        for case in "ABCD":
            now[0] += 10
            bar.advance(note=case)
            bar.progress.refresh()
    text = plain(stream)
    assert f"caching {'━' * 6}" in text and "1/4  0:10 gone, 0:30 left  A" in text
    assert re.search(f"caching {'━' * 24} 4/4  0:40 gone, 0:00 left  D *\n$", text)
    assert text.count("\n") == 1
    assert "\x1b[2K" in stream.getvalue()


def test_a_bar_in_a_log_writes_a_line_every_ten_seconds(loud, monkeypatch):
    stream, now = io.StringIO(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress.Bar("training", 100, stream=stream) as bar:
        for _ in range(100):
            now[0] += 0.35
            bar.advance()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4, "after 10, 20 and 30 of 35 seconds, and at the end"
    assert "100/100" in lines[-1]
    assert "\x1b" not in stream.getvalue()


def test_what_took_under_two_seconds_leaves_no_line_in_a_log(loud):
    stream = io.StringIO()
    with progress.Bar("quick", 3, stream=stream) as bar:
        bar.advance(3)
    assert stream.getvalue() == ""


def test_a_resumed_bar_judges_speed_by_today_only(loud, monkeypatch):
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress.Bar("training", 100, done=80, stream=stream) as bar:
        now[0] = 10.0
        bar.advance(10)
    assert "90/100  0:10 gone, 0:10 left" in plain(stream)


def test_a_bar_says_where_in_a_longer_work_it_stands(loud, monkeypatch):
    stream = Terminal()
    with progress.within("fold 2 of 5"), progress.Bar("training", 1, stream=stream) as bar:
        bar.advance()
    assert "fold 2 of 5: training" in plain(stream)
    assert progress.Bar("training", 1, stream=stream).task.description == "training"


def test_a_title_is_shown_as_it_is(loud):
    stream = Terminal()
    with progress.Bar("reading [red]/a[1].png", 1, stream=stream) as bar:
        bar.advance(note="[b]")
    assert "reading [red]/a[1].png" in plain(stream) and "[b]" in plain(stream)


def test_a_total_may_be_known_later(loud):
    stream = Terminal()
    with progress.Bar("downloading", 0, stream=stream) as bar:
        bar.advance(50, total=200)
    assert "50/200" in plain(stream)


def test_standard_output_stays_free_while_a_bar_is_drawn(loud, capsys):
    stream = Terminal()
    with progress.Bar("caching", 1, stream=stream):
        print("a result")
    assert capsys.readouterr().out == "a result\n"
    assert "a result" not in stream.getvalue()


def test_quiet_is_silent(monkeypatch):
    monkeypatch.setenv("BRAIN_TUMOR_QUIET", "1")
    stream = Terminal()
    with progress.Bar("caching", 2, stream=stream) as bar:
        bar.advance(2)
    assert stream.getvalue() == ""


def test_a_bar_watches_what_others_do(loud, monkeypatch):
    monkeypatch.setattr(progress, "LOOK_EVERY_SECONDS", 0.01)
    stream, done, looks = Terminal(), [3], threading.Semaphore(0)

    def look():
        looks.release()
        return done[0]

    with progress.watched("epochs of 2 folds", 24, look, stream):
        done[0] = 7
        for _ in range(3):
            looks.acquire()
        done[0] = 24  # while nobody looks, perhaps
    assert "epochs of 2 folds" in plain(stream) and "24/24" in plain(stream)
    assert not [thread for thread in threading.enumerate() if thread.name == "watching"]


def test_tracked_gives_every_item(monkeypatch):
    monkeypatch.setenv("BRAIN_TUMOR_QUIET", "1")
    assert list(progress.tracked("abc", "spelling")) == ["a", "b", "c"]
    assert list(progress.tracked(iter("abc"), "spelling", total=3)) == ["a", "b", "c"]
    assert list(progress.tracked(iter("abc"), "spelling")) == ["a", "b", "c"]


def test_threads_give_results_in_order_and_begin_nothing_after_a_failure():
    begun: list[float] = []
    assert list(progress.in_threads(lambda number: 60 // number, [3, 2, 1], "dividing")) == [20, 30, 60]
    with pytest.raises(ZeroDivisionError):
        list(progress.in_threads(lambda number: begun.append(1 / number) or time.sleep(0.01), range(100), "dividing"))
    assert len(begun) < 90


# ---------------------------------------------------------------------------------------------------------------- paths


def test_one_variable_moves_data_and_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    monkeypatch.chdir("/")
    assert paths.data_folder() == tmp_path / "data"
    assert paths.runs_folder() == tmp_path / "runs"


@pytest.mark.parametrize("value", [None, ""])
def test_without_it_the_checkout_is_the_root_whatever_the_working_directory(monkeypatch, tmp_path, value):
    if value is None:
        monkeypatch.delenv("BRAIN_TUMOR_HOME", raising=False)
    else:
        monkeypatch.setenv("BRAIN_TUMOR_HOME", value)
    monkeypatch.chdir(tmp_path)
    assert paths.home() == paths.CHECKOUT
    assert (paths.CHECKOUT / "brain_tumor" / "paths.py").is_file()


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The package lies in ``site-packages``, without a checkout; gives the user's data folder."""
    package = tmp_path / "site-packages" / "brain_tumor"
    package.mkdir(parents=True)
    monkeypatch.delenv("BRAIN_TUMOR_HOME", raising=False)
    monkeypatch.delenv("BRAIN_TUMOR_REPORTS", raising=False)
    monkeypatch.setattr(paths, "CHECKOUT", paths.checkout_of(package))
    monkeypatch.setattr(paths.platformdirs, "user_data_path", lambda name, appauthor: tmp_path / "share" / name)
    return tmp_path / "share" / "brain-tumor"


def test_a_checkout_is_known_by_its_pyproject(tmp_path):
    assert paths.checkout_of(tmp_path / "brain_tumor") is None
    (tmp_path / "pyproject.toml").touch()
    assert paths.checkout_of(tmp_path / "brain_tumor") == tmp_path


def test_without_a_checkout_data_runs_and_reports_go_to_the_users_folder_which_is_said_once(installed, capfd):
    assert not installed.exists(), "nothing is made before it is used"
    assert paths.data_folder() == installed / "data"
    answer = capfd.readouterr()
    assert answer.err == f"brain-tumor: data and runs go to {installed}; set BRAIN_TUMOR_HOME to use another folder\n"
    assert answer.out == ""
    assert paths.runs_folder() == installed / "runs"
    assert paths.reports_folder() == installed / "reports"
    assert capfd.readouterr() == ("", "")


def test_without_a_checkout_the_variable_wins_and_nothing_is_said(installed, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / "home"))
    assert paths.runs_folder() == tmp_path / "home" / "runs"
    assert paths.reports_folder() == tmp_path / "home" / "reports"
    assert capfd.readouterr() == ("", "") and not installed.exists()


def test_reports_follow_the_code_unless_told(monkeypatch, tmp_path):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    monkeypatch.delenv("BRAIN_TUMOR_REPORTS", raising=False)
    assert paths.reports_folder() == paths.CHECKOUT / "reports"
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path / "r"))
    assert paths.reports_folder() == tmp_path / "r"


def test_paths_are_shown_as_a_person_would_type_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert paths.readable(tmp_path / "runs" / "a") == "runs/a"
    assert paths.readable(Path("/etc/hosts")) == "/etc/hosts"


def test_a_hint_to_install_an_extra_names_the_checkout_or_the_packages_and_never_our_bare_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    assert paths.installation("train", "cpu") == "pip install '.[train,cpu]'"
    listed = [
        "numpy>=2.0",
        'keras>=3.15.1; extra == "train"',
        'tensorflow-cpu>=2.21; sys_platform != "darwin" and extra == "cpu"',
        'tensorflow>=2.21; sys_platform == "darwin" and extra == "cpu"',
        'optuna>=4.0; extra == "sweep"',
    ]
    monkeypatch.setattr(paths.metadata, "requires", lambda _name: listed)
    monkeypatch.setattr(paths, "CHECKOUT", None)
    monkeypatch.setattr(paths.sys, "platform", "linux")
    assert paths.installation("train", "cpu") == "pip install 'keras>=3.15.1' 'tensorflow-cpu>=2.21'"


def test_a_commit_is_told_with_changes_of_code_and_not_of_what_is_published(monkeypatch, tmp_path):
    def git(*words):
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c", *words], check=True, capture_output=True
        )

    for name in ("code.py", "README.md", "reports/index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    assert paths.commit() == "not committed"
    git("init"), git("add", "."), git("commit", "-m", "first")
    first = paths.commit()
    assert re.fullmatch("[0-9a-f]{12}", first)
    for name in ("README.md", "reports/index.html", "reports/new.html"):
        (tmp_path / name).write_text("two")
    assert paths.commit() == first
    (tmp_path / "code.py").write_text("two")
    assert paths.commit() == f"{first}+changes"
    monkeypatch.setattr(paths, "CHECKOUT", None)
    assert paths.commit() == "not committed"
