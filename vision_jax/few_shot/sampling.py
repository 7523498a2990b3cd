"""Which rows each training step and each draw of K labels takes, as arrays of indices."""

import numpy as np

from vision_jax.few_shot.table import Split, Table, rows_of


def batch_rows(table: Table, split: Split, *, steps: int, size: int, seed) -> np.ndarray:
    """Rows for joint training, drawn from the training part: `[steps, size]`."""
    pool = rows_of(table, split.train_photographs, split.train_distortions)
    return np.random.default_rng(seed).choice(pool, (steps, size))


def episode_rows(
    table: Table, split: Split, *, steps: int, tasks: int, support: int, query: int, seed
) -> dict[str, np.ndarray]:
    """Rows for meta-training: episodes of one distortion whose two sides share no photograph.

    Args:
        table: All rows.
        split: Its training part is drawn from.
        steps: Training steps.
        tasks: Episodes a step, each of another distortion as far as there are enough.
        support: Rows to adapt on.
        query: Rows to predict after it; as in the test, of other photographs than the support.
        seed: Which sequence.

    Returns:
        `support [steps, tasks, k]` and `query [steps, tasks, q]`.
    """
    generator = np.random.default_rng(seed)
    photographs, distortions = split.train_photographs, split.train_distortions
    held_out = max(1, len(photographs) // 3)
    pools = {(p, d): rows_of(table, p, d) for p in photographs for d in distortions}
    rows = {'support': np.empty((steps, tasks, support), np.int32),
            'query': np.empty((steps, tasks, query), np.int32)}
    for step in range(steps):
        chosen = generator.choice(distortions, tasks, replace=tasks > len(distortions))
        for task, distortion in enumerate(chosen):
            order = generator.permutation(photographs)
            sides = {'query': (order[:held_out], query), 'support': (order[held_out:], support)}
            for side, (group, count) in sides.items():
                pool = np.concatenate([pools[p, distortion] for p in group])
                rows[side][step, task] = generator.choice(pool, count, replace=count > len(pool))
    return rows


def shot_rows(
    table: Table, split: Split, distortion: int, *, shots: int, draws: int, seed
) -> np.ndarray:
    """K labelled rows of an unseen distortion on training photographs, `[draws, k]`."""
    pool = rows_of(table, split.train_photographs, np.array([distortion]))
    generator = np.random.default_rng(seed)
    return np.stack([generator.choice(pool, shots, replace=False) for _ in range(draws)])
