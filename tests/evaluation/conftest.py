"""Laws are tried on many small inputs; how long a busy machine takes over one of them decides nothing. Intervals are a user's."""

import pytest
from hypothesis import settings

from brain_tumor.evaluation import intervals

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
A_USERS = intervals.RESAMPLES  # read before a fixture makes them few


@pytest.fixture(autouse=True)
def as_many_draws_as_users_have(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", A_USERS)
