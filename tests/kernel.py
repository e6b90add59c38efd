"""What a notebook's kernel begins with where `make test` runs it small: what `conftest.py` gives tests, for the same reasons.

The Makefile puts a copy where IPython looks for such files.
"""


def begin(shell):
    """Nothing of this is left among the names of the notebook."""
    import gc
    import sys

    from brain_tumor.data.phantom import open_phantom
    from brain_tumor.evaluation import intervals

    def spare_the_backend(_):
        if "keras" in sys.modules:
            shell.events.unregister("post_run_cell", spare_the_backend)
            gc.collect()
            gc.freeze()
            if tensorflow := sys.modules.get("tensorflow"):
                tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

    gc.set_threshold(50_000, 50, 50)
    open_phantom.__defaults__ = (8, (8, 10), 64, 0)
    intervals.RESAMPLES = 100
    shell.events.register("post_run_cell", spare_the_backend)


begin(get_ipython())  # noqa: F821
del begin
