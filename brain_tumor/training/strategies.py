"""Named plans of training: what trains when, and how fast. A notebook writes its stages out; the command line names them.

``all`` trains everything from the first step; with a small rate from pretrained weights it is strategy b of source 002 (002.04).
``frozen`` is its strategy a: the encoder stays as it is, the new layers train (002.03): a classifier's head, a U-Net's decoder
(004.37). ``gradual`` is the order of source 003: the new layers alone, then everything, then everything with rates that fall with
the distance from the output (003.03-05). Such rates are those of Howard & Ruder 2018 (arXiv 1801.06146), who divide by 2.6 from
layer to layer; the five depths of an encoder are whole stages, so the factor here is milder.
"""

from dataclasses import replace

from brain_tumor.errors import ModelError
from brain_tumor.training.stages import Stage

STRATEGIES = ("all", "frozen", "gradual")
UNFROZEN_RATE = 0.3  # of the head's peak rate: what was learnt before is to be changed, not lost
LAYER_DECAY = 0.6


def stages(strategy: str, epochs: int, max_lr: float, new_layers: str = "head", **optimiser) -> tuple[Stage, ...]:
    """The stages of a strategy.

    Args:
        strategy: a name of :data:`STRATEGIES`.
        epochs: passes over the training slices, all stages together; ``gradual`` needs three.
        max_lr: the highest rate of any stage.
        new_layers: the part that no weights are learnt for yet (``NEW_LAYERS`` of a recipe).
        optimiser: ``optimiser``, ``momentum``, ``schedule`` of each :class:`brain_tumor.training.stages.Stage`.

    Raises:
        ModelError: unknown strategy, or fewer epochs than it has stages.
    """
    if strategy not in STRATEGIES:
        raise ModelError(f"strategy {strategy!r}, expected one of {', '.join(STRATEGIES)}")
    if strategy == "gradual":
        if epochs < 3:
            raise ModelError(f"strategy 'gradual' has three stages, which {epochs} epochs cannot fill")
        quarter = max(1, epochs // 4)
        plan = (
            Stage(new_layers, quarter, max_lr, part=new_layers),
            Stage("all", quarter, UNFROZEN_RATE * max_lr),
            Stage("by depth", epochs - 2 * quarter, UNFROZEN_RATE * max_lr, layer_decay=LAYER_DECAY),
        )
    else:
        plan = (Stage(strategy, epochs, max_lr, part=new_layers if strategy == "frozen" else "all"),)
    return tuple(replace(stage, **optimiser) for stage in plan)


def told(plan: tuple[Stage, ...], new_layers: str = "head") -> dict | None:
    """The arguments of :func:`stages` beside ``new_layers`` that give this plan; None where no named strategy does."""
    asked = {"epochs": sum(stage.epochs for stage in plan), "max_lr": plan[0].max_lr}
    optimiser = {name: getattr(plan[0], name) for name in ("optimiser", "momentum", "schedule")}
    for strategy in STRATEGIES if len(plan) in (1, 3) else ():
        if (strategy == "gradual") == (len(plan) == 3) and stages(strategy, **asked, new_layers=new_layers, **optimiser) == plan:
            return asked | {"strategy": strategy} | optimiser
    return None
