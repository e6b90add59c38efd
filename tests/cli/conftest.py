"""What the tests of the command line share."""

# These bind `open_cohort` as they are imported. A test that patches it must not be the first to import them: they would keep
# what it was patched with.
import brain_tumor.experiments.run
import brain_tumor.leakage.manifests
import brain_tumor.leakage.names  # noqa: F401
