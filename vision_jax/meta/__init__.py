"""Meta-learning: each method wraps a task, and what it returns is again a task.

A batch of episodes is `{'support': {leaves [t, k, ...]}, 'query': {leaves [t, q, ...]}}`, and
optionally `mask [t]` (0 for an episode that is padding).
"""
