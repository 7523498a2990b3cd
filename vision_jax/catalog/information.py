"""Rows of the full-reference metrics in pyramids: information, phase, normalisation."""

from vision_jax.catalog.rows import Metric

INFORMATION: dict[str, Metric] = {
    'vif': Metric(
        path='vision_jax.iqa.full_reference.vif:vif',
        domain='iqa',
        kind='full_reference',
        reference='Sheikh, Bovik: Image information and visual quality, IEEE TIP 15(2), 2006',
        lower_is_better=False,
        range=(0.0, float('inf')),
        identity=1.0,
        symmetric=False,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' vifvec.m (wavelet form: eight subbands of the steerable pyramid, "
                   'noise variance 0.4)',
        departures='a flat reference, for which the code divides 0 by 0, scores 1; where blocks '
                   'are linearly dependent (stripes), directions without variance count for '
                   'nothing, the code inverts a singular matrix; pyiqa rounds its grey image to 8 '
                   'bits and computes in float32',
        min_side=72,
    ),
    'vifp': Metric(
        path='vision_jax.iqa.full_reference.vifp:vifp',
        domain='iqa',
        kind='full_reference',
        reference='Sheikh, Bovik: Image information and visual quality, IEEE TIP 15(2), 2006',
        lower_is_better=False,
        range=(0.0, float('inf')),
        identity=1.0,
        symmetric=False,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' vifp_mscale.m (pixel form: four scales, noise variance 2); sewar "
                   'and torchmetrics score each channel alone',
        departures='a flat reference, for which the code divides 0 by 0, scores 1, as in piq',
        min_side=41,
    ),
    'cw_ssim': Metric(
        path='vision_jax.iqa.full_reference.cw_ssim:cw_ssim',
        domain='iqa',
        kind='full_reference',
        reference='Sampat et al.: Complex wavelet structural similarity, IEEE TIP 18(11), 2009',
        lower_is_better=False,
        range=(0.0, 1.0),
        identity=1.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' cwssim_index.m with 4 levels, 8 orientations and K = 0",
        departures='windows in which neither image has coefficients, where the code divides 0 by '
                   '0, count as equal; pyiqa differs by rounding its grey image to 8 bits',
        min_side=64,
    ),
    'nlpd': Metric(
        path='vision_jax.iqa.full_reference.nlpd:nlpd',
        domain='iqa',
        kind='full_reference',
        reference='Laparra et al.: Perceptual image quality assessment using a normalized '
                  'Laplacian pyramid, HVEI 2016',
        lower_is_better=True,
        range=(0.0, float('inf')),
        identity=0.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' NLP_dist.m; plenoptic's pyramid has other taps and borders and "
                   'does not flip the weights, pyiqa leaves out the farthest weight',
        departures='none on grey images; MATLAB figures of 8-bit colour pictures need '
                   "colour='matlab_uint8', for the rounding of rgb2gray is most of the distance of "
                   'near-equal pictures',
        min_side=64,
    ),
}
