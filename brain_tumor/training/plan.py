"""Plans of training: stages, what trains in each and how fast; written out in a notebook, named on the command line.

``all`` trains everything from the first step; with a small rate from pretrained weights it is strategy b of source 002 (002.04).
``frozen`` is its strategy a: the encoder stays as it is, the new layers train (002.03): a classifier's head, a U-Net's decoder
(004.37). ``gradual`` is the order of source 003: the new layers alone, then everything, then everything with rates that fall with
the distance from the output (003.03-05). Such rates are those of Howard & Ruder 2018 (arXiv 1801.06146), who divide by 2.6 from
layer to layer; the five depths of an encoder are whole stages, so the factor here is milder. ``growing`` trains half of its
epochs on slices of half the size, which cost a quarter, then on whole ones, as source 004 goes from 128 to 256 (004.33).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from brain_tumor.errors import ModelError
from brain_tumor.models.architectures import LAYER_GROUPS
from brain_tumor.training.fields import check, setting

if TYPE_CHECKING:
    import keras

STRATEGIES = ("all", "frozen", "gradual", "growing")
OPTIMISERS = ("adamw", "sgd")
SCHEDULES = ("1cycle", "cyclical", "constant")
OF_THE_OPTIMISER = ("optimiser", "momentum", "schedule", "pct_start", "cycles", "weight_decay")  # the same in every stage
UNFROZEN_RATE = 0.3  # of the head's peak rate: what was learnt before is to be changed, not lost
LAYER_DECAY = 0.6


@dataclass(frozen=True)
class Stage:
    """A part of training.

    Attributes:
        name: what to call it in the history.
        epochs: passes over the training slices.
        max_lr: the top of its cycles, or its constant rate.
        part: which layers train (:data:`brain_tumor.models.architectures.LAYER_GROUPS`).
        weight_decay: the optimiser's, not on biases and norms; 1e-2 is source 004's (004.39).
        pct_start: the share of its steps during which the rate climbs.
        optimiser: ``adamw`` or ``sgd``.
        momentum: of ``sgd`` at a constant rate; source 002's is 0.5 (002.19).
        schedule: ``1cycle``, which moves the momentum too, ``cyclical``, which rises and falls again and again (004.41), or
            ``constant``.
        cycles: how often a ``cyclical`` rate rises.
        size: slice height and width in pixels during this stage, 0 for the recipe's; small slices first cost less (004.33).
        layer_decay: a layer at depth d (:func:`brain_tumor.models.freezing.depth`) trains at ``rate * layer_decay ** (5 - d)``
            (003.05); 1 is all alike.

    Raises:
        ModelError: a word that names nothing, or a number beyond its limits.
    """

    name: str = setting()
    epochs: int = setting(help="Passes over the training slices.", low=0)
    max_lr: float = setting(1e-3, "Top of the cycle of the learning rate, or the constant rate.", above=0)
    part: str = setting("all", "Which layers train.", choices=LAYER_GROUPS)
    weight_decay: float = setting(1e-2, "The optimiser's; biases and norms are left out.", low=0)
    pct_start: float = setting(0.3, "Share of a 1cycle during which the rate climbs.", low=0, high=1)
    optimiser: str = setting("adamw", "Which optimiser.", choices=OPTIMISERS, since="0.2")
    momentum: float = setting(0.5, "Of sgd at a constant rate.", low=0, below=1, since="0.2")
    schedule: str = setting("1cycle", "What the learning rate does.", choices=SCHEDULES, since="0.2")
    layer_decay: float = setting(1.0, "Factor of the rate from one depth of the network to the next.", above=0, since="0.2")
    cycles: int = setting(4, "How often a cyclical rate rises.", low=1, since="0.4")
    size: int = setting(0, "Slice size during this stage; 0 for the recipe's.", low=0, since="0.4")

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before a run is begun with it."""
        check(self, f"stage {self.name!r}: ")

    def make_optimiser(self, steps: int, accumulate: int = 1) -> "keras.optimizers.Optimizer":
        """A fresh one, whose cycle is as long as the stage.

        Args:
            steps: batches an epoch.
            accumulate: batches that make a step together.
        """
        from brain_tumor.training import optimisers

        return optimisers.make(
            self.optimiser,
            self.max_lr,
            max(1, self.epochs * steps // accumulate),
            schedule=self.schedule,
            pct_start=self.pct_start,
            cycles=self.cycles,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            layer_decay=self.layer_decay,
            accumulate=accumulate,
        )


def stages(
    strategy: str, epochs: int, max_lr: float, new_layers: str = "head", size: int = 0, **optimiser: Any
) -> tuple[Stage, ...]:
    """The stages of a strategy.

    Args:
        strategy: a name of :data:`STRATEGIES`.
        epochs: passes over the training slices, all stages together; ``gradual`` needs three, ``growing`` two.
        max_lr: the highest rate of any stage.
        new_layers: the part that no weights are learnt for yet (``NEW_LAYERS`` of a recipe).
        size: the recipe's, for ``growing``.
        optimiser: ``optimiser``, ``momentum``, ``schedule``, ``pct_start``, ``weight_decay`` of each stage.

    Raises:
        ModelError: unknown strategy, or fewer epochs than it has stages.
    """
    if strategy not in STRATEGIES:
        raise ModelError(f"strategy {strategy!r}, expected one of {', '.join(STRATEGIES)}")
    if epochs < (fewest := {"gradual": 3, "growing": 2}.get(strategy, 0)):
        raise ModelError(f"strategy {strategy!r} has {fewest} stages, which {epochs} epochs cannot fill")
    if strategy == "growing":
        plan: tuple[Stage, ...] = (
            Stage("half size", epochs // 2, max_lr, size=size // 2),
            Stage("all", epochs - epochs // 2, UNFROZEN_RATE * max_lr),
        )
    elif strategy == "gradual":
        quarter = max(1, epochs // 4)
        plan = (
            Stage(new_layers, quarter, max_lr, part=new_layers),
            Stage("all", quarter, UNFROZEN_RATE * max_lr),
            Stage("by depth", epochs - 2 * quarter, UNFROZEN_RATE * max_lr, layer_decay=LAYER_DECAY),
        )
    else:
        plan = (Stage(strategy, epochs, max_lr, part=new_layers if strategy == "frozen" else "all"),)
    return tuple(replace(stage, **optimiser) for stage in plan)


def arguments(plan: tuple[Stage, ...], new_layers: str = "head") -> dict | None:
    """The arguments of :func:`stages` that give this plan; None where no named strategy does."""
    optimiser = {name: getattr(plan[0], name) for name in OF_THE_OPTIMISER}
    options = {"epochs": sum(stage.epochs for stage in plan), "max_lr": plan[0].max_lr} | optimiser
    lengths = {"all": 1, "frozen": 1, "gradual": 3, "growing": 2}
    for strategy in (name for name in STRATEGIES if lengths[name] == len(plan)):
        if stages(strategy, **options, new_layers=new_layers, size=2 * plan[0].size) == plan:
            return options | {"strategy": strategy}
    return None
