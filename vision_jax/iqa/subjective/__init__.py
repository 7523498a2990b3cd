"""What a panel of observers said: mean opinion scores, screening of observers, recovery of quality.

Raw ratings are `[stimuli, observers]`, NaN where an observer did not rate a stimulus.
"""

from vision_jax.iqa.subjective.continuous import Segments, hold, vote_segments
from vision_jax.iqa.subjective.ratings import Scores, dmos, dscqs_differences, mos, z_scores
from vision_jax.iqa.subjective.recovery import (
    BiasRemoved,
    Recovery,
    bias_removed_mos,
    maximum_likelihood,
    observer_bias,
)
from vision_jax.iqa.subjective.recovery_content import (
    ContentRecovery,
    maximum_likelihood_with_content,
)
from vision_jax.iqa.subjective.screening import (
    ContinuousScreening,
    Screening,
    keep,
    screen,
    screen_continuous,
)

__all__ = [
    'BiasRemoved', 'ContentRecovery', 'ContinuousScreening', 'Recovery', 'Scores', 'Screening',
    'Segments', 'bias_removed_mos', 'dmos', 'dscqs_differences', 'hold', 'keep',
    'maximum_likelihood', 'maximum_likelihood_with_content', 'mos', 'observer_bias', 'screen',
    'screen_continuous', 'vote_segments', 'z_scores',
]
