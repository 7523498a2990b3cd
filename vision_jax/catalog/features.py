"""Rows of the full-reference metrics that compare low-level features."""

from vision_jax.catalog.rows import Metric

FEATURES: dict[str, Metric] = {
    'vsi': Metric(
        path='vision_jax.iqa.full_reference.vsi:vsi',
        domain='iqa',
        kind='full_reference',
        reference='Zhang, Shen, Li: VSI, a visual saliency-induced index, IEEE TIP 23(10), 2014',
        lower_is_better=False,
        range=(0.0, 1.0),
        identity=1.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' VSI.m, MATLAB's imresize and down-sampling rule included",
        departures='flat images, where the code divides 0 by 0, are compared with equal weights',
        channels=(3,),
        has_map=True,
    ),
}
