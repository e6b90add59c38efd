"""Laws are tried on many small inputs; how long a busy machine takes over one of them decides nothing."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
