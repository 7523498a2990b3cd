"""Rows of the full-reference metrics of visual models and of learned features."""

from vision_jax.catalog.rows import Metric

PERCEPTION: dict[str, Metric] = {
    'psnr_hvs': Metric(
        path='vision_jax.iqa.full_reference.psnr_hvs:psnr_hvs',
        domain='iqa',
        kind='full_reference',
        reference='Egiazarian et al.: New full-reference quality metrics based on HVS, VPQM 2006',
        lower_is_better=False,
        range=(-8.22, 100_000.0),  # below: all energy in the coefficient of the greatest weight
        identity=100_000.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' psnrhvsm.m: grey, whole 8x8 blocks only, 100000 for equal images",
        min_side=8,
        has_map=True,
    ),
    'psnr_hvsm': Metric(
        path='vision_jax.iqa.full_reference.psnr_hvsm:psnr_hvsm',
        domain='iqa',
        kind='full_reference',
        reference='Ponomarenko et al.: On between-coefficient contrast masking, VPQM 2007',
        lower_is_better=False,
        range=(-8.22, 100_000.0),  # below: all energy in the coefficient of the greatest weight
        identity=100_000.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' psnrhvsm.m: grey, whole 8x8 blocks only, 100000 if all is masked",
        departures='a block whose variance is a rounding error counts as flat, which masks nothing',
        min_side=8,
        has_map=True,
    ),
}
