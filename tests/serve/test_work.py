"""The queue: one exam after the other, a bounded number of them, and no answer that is never given."""

import threading
import time
import weakref

import pytest

from brain_tumor.errors import DataError, UnfamiliarError
from brain_tumor.serve.limits import Limits, Refusal
from brain_tumor.serve.work import Worker


def test_answers_come_in_turn():
    worker, order = Worker(Limits()), []
    jobs = [worker.submit(lambda progress, n=n: order.append(n) or n) for n in range(5)]
    assert all(job.ended.wait(10) for job in jobs)
    assert order == list(range(5)) and [job.answer for job in jobs] == order


def test_a_full_queue_refuses_and_goes_on():
    worker, gate = Worker(Limits(waiting=2)), threading.Event()
    first = worker.submit(lambda progress: gate.wait(10))
    while not first.started:
        time.sleep(0.001)
    others = [worker.submit(lambda progress: 1) for _ in range(2)]
    with pytest.raises(Refusal) as refusal:
        worker.submit(lambda progress: 1)
    assert (refusal.value.status, refusal.value.code) == (503, "busy")
    gate.set()
    assert all(job.ended.wait(10) for job in [first, *others])
    assert worker.answer(lambda progress: 7) == 7


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnfamiliarError("a: strange"), 422, "unfamiliar"),
        (DataError("a: damaged"), 422, "unreadable"),
        (MemoryError(), 413, "too_large"),
        (ZeroDivisionError(), 500, "failed"),
        (Refusal(415, "unsupported", "no"), 415, "unsupported"),
    ],
)
def test_every_failure_is_an_answer(error, status, code, capsys):
    def fail(progress):
        raise error

    worker = Worker(Limits())
    with pytest.raises(Refusal) as refusal:
        worker.answer(fail)
    assert (refusal.value.status, refusal.value.code) == (status, code)
    assert worker.answer(lambda progress: "next") == "next", "the worker is alive"
    assert ("ZeroDivisionError" in capsys.readouterr().err) == (status == 500)


def test_what_takes_too_long_is_stopped_where_it_tells_its_progress():
    def endless(progress):
        while True:
            progress(0.5)
            time.sleep(0.001)

    worker = Worker(Limits(seconds=0.05))
    with pytest.raises(Refusal, match="too long"):
        worker.answer(endless)
    assert worker.answer(lambda progress: 1) == 1


def test_answers_are_forgotten_by_number_and_by_age():
    worker = Worker(Limits(answers=2, answer_seconds=100))
    jobs = [worker.submit(lambda progress: 1, keep=True) for _ in range(3)]
    assert worker.find(jobs[2].key) is jobs[2]
    with pytest.raises(Refusal, match="not here any more"):
        worker.find(jobs[0].key)
    jobs[1].born -= 200
    with pytest.raises(Refusal):
        worker.find(jobs[1].key)
    worker.forget(jobs[2].key)
    with pytest.raises(Refusal):
        worker.find(jobs[2].key)


def test_names_cannot_be_guessed():
    worker = Worker(Limits())
    keys = {worker.submit(lambda progress: 1, keep=True).key for _ in range(5)}
    assert len(keys) == 5 and all(len(key) >= 20 for key in keys)


def test_answers_are_forgotten_where_nobody_asks_for_anything():
    class Answer:
        nbytes = 10

    worker = Worker(Limits(answer_seconds=0.05))
    job = worker.submit(lambda progress: Answer(), keep=True)
    assert job.ended.wait(10)
    gone = weakref.ref(job.answer)
    del job
    for _ in range(500):
        if gone() is None:
            return
        time.sleep(0.01)
    raise AssertionError("still there")


def test_answers_that_hold_too_much_make_room():
    class Answer:
        nbytes = 60

    worker = Worker(Limits(answer_bytes=100))
    jobs = [worker.submit(lambda progress: Answer(), keep=True) for _ in range(3)]
    assert all(job.ended.wait(10) for job in jobs)
    worker.answer(lambda progress: 1)
    assert worker.find(jobs[2].key) is jobs[2]
    with pytest.raises(Refusal):
        worker.find(jobs[0].key)


def test_what_is_forgotten_is_not_predicted():
    worker, gate, asked = Worker(Limits()), threading.Event(), []
    worker.submit(lambda progress: gate.wait(10))
    job = worker.submit(lambda progress: asked.append(1), keep=True)
    worker.forget(job.key)
    gate.set()
    assert job.ended.wait(10) and asked == [] and not hasattr(job, "compute")
