"""What a notebook's kernel begins with where `make test` runs it small: what `conftest.py` gives tests, for the same reasons.

The Makefile puts a copy where IPython looks for such files.
"""


def spare_the_backend():
    """A search for garbage leaves out what was imported, and TensorFlow computes a network as it was traced.

    To improve it first takes longer than the few steps of a test; over an epoch it gains a tenth, so users have it, as do the
    processes that tests start. Both together spare a sixth of the time of tests that train. Keras looks for what it need not save
    anew at every layer that it saves or reads, since it remembers it under one name and asks for another: a third of that time.
    """
    import functools
    import gc
    import sys

    gc.collect()
    gc.freeze()
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    from keras.src.saving import saving_lib

    saving_lib.get_attr_skipset = functools.cache(saving_lib.get_attr_skipset)


def cheaper_settings():
    """``(module, name, value)``: intervals of few draws, coarse pictures."""
    from brain_tumor.evaluation import intervals
    from brain_tumor.report.figures import drawing

    return (intervals, "RESAMPLES", 100), (drawing, "DPI", 50), (drawing, "PICTURE_DPI", 50)


def begin(shell, spare, settings):
    """``spare`` waits for the first cell that has loaded Keras."""
    import sys

    from brain_tumor.data.phantom import open_phantom

    def after_a_cell(_):
        if "keras" in sys.modules:
            shell.events.unregister("post_run_cell", after_a_cell)
            spare()

    open_phantom.__defaults__ = (8, (8, 10), 64, 0)
    for setting in settings:
        setattr(*setting)
    shell.events.register("post_run_cell", after_a_cell)


if "get_ipython" in globals():  # nothing is left among the names of the notebook
    begin(get_ipython(), spare_the_backend, cheaper_settings())  # noqa: F821
    del begin, cheaper_settings, spare_the_backend
