"""The kinds of rows of the catalogue."""

from typing import NamedTuple


class Metric(NamedTuple):
    """A row of a function that scores images.

    Attributes:
        path: `module:function`.
        domain: The package it belongs to.
        kind: `full_reference`, `reduced_reference` or `no_reference`.
        reference: Paper of the method.
        lower_is_better: Direction of the score.
        range: Least and greatest score on images in [0, 1].
        identity: Score of an image against itself.
        symmetric: Whether swapping reference and distorted image leaves the score as it is.
        monotone: Distortions whose growing strength the score must follow.
        convention: What the default follows where implementations disagree, in one sentence.
        departures: What is done otherwise than in the authors' code, and why; '' for nothing.
        differentiable: Whether gradients are finite everywhere.
        min_side: Least height and width.
        channels: The channel counts it takes.
        has_map: Whether `return_map=True` also gives the local scores.
        extra: The extra of `setup.py` that it needs; '' for none.
        weights: `module:function` of the variables that it takes as `weights`; '' for none.
    """

    path: str
    domain: str
    kind: str
    reference: str
    lower_is_better: bool
    range: tuple[float, float]
    identity: float
    symmetric: bool
    monotone: tuple[str, ...]
    convention: str
    departures: str = ''
    differentiable: bool = True
    min_side: int = 16
    channels: tuple[int, ...] = (1, 3)
    has_map: bool = False
    extra: str = ''
    weights: str = ''


class Model(NamedTuple):
    """A row of a network.

    Attributes:
        path: `module:function`, the function being `build(variant, **overrides)`.
        domain: The package it belongs to.
        kind: `backbone` or `head`.
        reference: Paper of the network.
        parameters: Variant to published parameter count, with 1000 outputs.
    """

    path: str
    domain: str
    kind: str
    reference: str
    parameters: dict[str, int]


class Method(NamedTuple):
    """A row of anything else that is called: a loss, an op, a meta-learner, an evaluator."""

    path: str
    domain: str
    kind: str
    reference: str
