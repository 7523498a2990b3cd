"""Episodes for meta-learning: support and query examples of one group, drawn from (seed, index)."""

from typing import NamedTuple

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.data.sources import Source, check_column


class EpisodeSampler:
    """Draws which examples make up episode `index`; a pure function of `(seed, index)`.

    Groups are visited in turn, each round in an order of its own, so that a batch holds as many
    different groups as it can. Inside an episode, support and query are disjoint.

    Args:
        source: Examples with the column `group`, and `reference` if references are disjoint.
        support: Examples to adapt on, k.
        query: Examples to predict after it, q.
        group: The column whose values are the tasks.
        disjoint_references: Whether support and query also share no reference photograph. Half of
            the group's references, at least one and drawn anew each time, then go to the support.
        seed: Which sequence of episodes.

    Raises:
        InputError: If a group has too few examples or references.
    """

    def __init__(self, source: Source, *, support: int, query: int, group: str = 'distortion',
                 disjoint_references: bool = False, seed: int = 0):
        check_column(source, group)
        self._support, self._query, self._seed = support, query, seed
        values = source.column(group)
        self._groups = [_Group(value, np.flatnonzero(values == value))
                        for value in np.unique(values)]
        self._references = None
        if disjoint_references:
            check_column(source, 'reference')
            self._references = source.column('reference')
        for one in self._groups:
            self._check(group, one)

    def _check(self, name: str, group: '_Group') -> None:
        needed = self._support + self._query
        if len(group.members) < needed:
            raise InputError(f'{name}={group.value} has {len(group.members)} images, an episode '
                             f'needs {needed} ({self._support} support + {self._query} query)')
        if self._references is None:
            return
        sizes = np.sort(np.unique(self._references[group.members], return_counts=True)[1])
        count = len(sizes) // 2
        # The worst draw gives one side the references with the fewest images.
        if (count == 0 or sizes[:count].sum() < self._support
                or sizes[:len(sizes) - count].sum() < self._query):
            raise InputError(f'{name}={group.value} has {len(sizes)} references: too few for '
                             f'{self._support} support and {self._query} query images with '
                             'episodes.disjoint_references')

    def __call__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The candidates of episode `index`: source indices for support and for query.

        Each list begins with the `support` (`query`) examples to use; what follows replaces those
        that cannot be decoded, in that order. No example is in both.
        """
        generator = np.random.default_rng((self._seed, 1, index))
        members = generator.permutation(self._group(index).members)
        if self._references is None:
            # All that neither side uses first: even places replace support, odd ones query.
            support, rest = np.split(members, [self._support])
            query, spare = np.split(rest, [self._query])
            return np.append(support, spare[::2]), np.append(query, spare[1::2])
        references = self._references[members]
        distinct = generator.permutation(np.unique(references))
        chosen = np.isin(references, distinct[:len(distinct) // 2])
        return members[chosen], members[~chosen]

    def _group(self, index: int) -> '_Group':
        turn, place = divmod(index, len(self._groups))
        order = np.random.default_rng((self._seed, 2, turn)).permutation(len(self._groups))
        return self._groups[order[place]]


class _Group(NamedTuple):
    value: float
    members: np.ndarray
