"""Rows of the reduced-reference metrics."""

from vision_jax.catalog.rows import Metric

REDUCED_REFERENCE: dict[str, Metric] = {
    'wnism': Metric(
        path='vision_jax.iqa.reduced_reference.wnism:wnism',
        domain='iqa',
        kind='reduced_reference',
        reference='Wang, Simoncelli: Reduced-reference image quality assessment using a '
                  'wavelet-domain natural image statistic model, SPIE 5666, 2005',
        lower_is_better=True,
        range=(0.0, float('inf')),
        identity=0.0,
        symmetric=False,
        # JPEG only from about 96 pixels on: in 64 a coarse subband has 64 coefficients to count
        monotone=('blur', 'noise'),
        convention="the authors' rriqa code with D0 = 0.001 (the paper has 0.1), before its "
                   '162-bit quantisation, which is an option',
        departures='the density is fitted to convergence, the code stops at 1e-4; where the '
                   "code's divergence can reach 0 before its least value, its fit is not unique "
                   "and ours is another (scikit-image's astronaut: 0.065 apart)",
        differentiable=False,
        min_side=64,
    ),
    'rred': Metric(
        path='vision_jax.iqa.reduced_reference.rred:rred',
        domain='iqa',
        kind='reduced_reference',
        reference='Soundararajan, Bovik: RRED indices, IEEE TIP 21(2), 2012',
        lower_is_better=True,
        range=(0.0, float('inf')),
        identity=0.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the spatial part of the authors' ST-RRED code: coarsest of four levels, "
                   'derivative down, an entropy a 3x3 block',
        departures="none; scikit-video computes in float32, 2.5e-4 from the authors' code",
        min_side=72,
    ),
}
