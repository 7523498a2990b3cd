"""Rows of the full-reference metrics of error and of structure."""

from vision_jax.catalog.rows import Metric

STRUCTURE: dict[str, Metric] = {
    'mse': Metric(
        path='vision_jax.iqa.full_reference.mse:mse',
        domain='iqa',
        kind='full_reference',
        reference='Gauss, 1809; as in Wang, Bovik: Mean squared error: love it or leave it?, 2009',
        lower_is_better=True,
        range=(0.0, 1.0),
        identity=0.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention='the mean over pixels and channels, in squared units of the images',
        has_map=True,
    ),
    'psnr': Metric(
        path='vision_jax.iqa.full_reference.psnr:psnr',
        domain='iqa',
        kind='full_reference',
        reference='ITU-T J.340, 2010; as in Huynh-Thu, Ghanbari: Scope of validity of PSNR, 2008',
        lower_is_better=False,
        range=(0.0, float('inf')),
        identity=float('inf'),
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention='of the mean error over channels; infinite for equal images, as scikit-image',
    ),
    'psnr_y': Metric(
        path='vision_jax.iqa.full_reference.psnr:psnr_y',
        domain='iqa',
        kind='full_reference',
        reference='ITU-T J.340, 2010; luma of ITU-R BT.601',
        lower_is_better=False,
        range=(0.0, float('inf')),
        identity=float('inf'),
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the Y of MATLAB's rgb2ycbcr, 16 to 235, against a peak of 255, as BasicSR",
    ),
    'ssim': Metric(
        path='vision_jax.iqa.full_reference.ssim:ssim',
        domain='iqa',
        kind='full_reference',
        reference='Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, from error '
                  'visibility to structural similarity, IEEE TIP 13(4), 2004',
        lower_is_better=False,
        range=(-1.0, 1.0),
        identity=1.0,
        symmetric=True,
        monotone=('blur', 'noise', 'jpeg'),
        convention="the authors' ssim_index.m of 2003: grey, Gaussian window, no down-sampling",
        min_side=11,
        has_map=True,
    ),
}
