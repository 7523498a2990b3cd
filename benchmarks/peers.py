"""Other packages' metrics, called alike: for each of ours, who else has it and how to call it.

A peer takes batches of photographs `n h w 3` (NumPy, float32 in [0, 1]) and returns a call that
scores them, its inputs converted beforehand. `options` are the keywords under which our metric
computes the same number; `None` where no convention of ours is theirs, whose time is then no
measure. `why` says what they do otherwise than our default.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

# Where the name on PyPI is not the name that is imported.
DISTRIBUTIONS = {'skimage': 'scikit-image', 'cv2': 'opencv-contrib-python-headless',
                 'pytorch_msssim': 'pytorch-msssim', 'tensorflow': 'tensorflow-cpu',
                 'flip_evaluator': 'flip-evaluator', 'DISTS_pytorch': 'DISTS-pytorch'}
GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)


class Peer(NamedTuple):
    """One package's form of a metric.

    Attributes:
        package: What is imported, and named in the tables.
        call: Its function and arguments, as a reader would write them.
        prepare: (references, distorted) -> a call without arguments that returns the scores.
        options: Our keywords for the same number, or `None`.
        why: What differs from our default; '' for nothing.
    """

    package: str
    call: str
    prepare: Callable[[np.ndarray, np.ndarray], Callable[[], Any]]
    options: dict[str, Any] | None
    why: str = ''


def _torch(module: str, function: str, *, grey: bool = False, singly: bool = False,
           white: float = 1.0, **keywords):
    """A function of two torch tensors `n c h w`, distorted first; `singly` calls it by pairs."""
    def prepare(references, distorted):
        import torch

        call = getattr(importlib.import_module(module), function)
        first, second = (
            white * torch.from_numpy(np.ascontiguousarray(np.moveaxis(_input(x, grey), -1, 1)))
            for x in (distorted, references))
        size = 1 if singly else len(first)

        def score():
            with torch.no_grad():
                parts = [call(first[i:i + size], second[i:i + size], **keywords).numpy()
                         for i in range(0, len(first), size)]
            # torchmetrics' UQI is a map
            return np.concatenate([part.reshape(size, -1).mean(1) for part in parts])
        return score
    return prepare


def _tensorflow(function: str):
    def prepare(references, distorted):
        import tensorflow

        first, second = (tensorflow.constant(x) for x in (references, distorted))
        call = tensorflow.function(getattr(tensorflow.image, function))
        return lambda: call(first, second, max_val=1.0).numpy()
    return prepare


def _pyiqa(name: str, **keywords):
    def prepare(references, distorted):
        import pyiqa
        import torch

        metric = pyiqa.create_metric(name, device='cpu', **keywords)
        first, second = (torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))
                         for x in (distorted, references))

        def score():
            with torch.no_grad():
                return metric(first, second).numpy().reshape(-1)
        return score
    return prepare


def _each(module: str, function: str, *, grey: bool = False, bytes_in: bool = False,
          pick: Callable = float, multiple: int = 1, **keywords):
    """A function of two NumPy pictures, sides cut to a multiple, called once a pair."""
    def prepare(references, distorted):
        call = importlib.import_module(module)
        for part in function.split('.'):
            call = getattr(call, part)
        height, width = (side - side % multiple for side in references.shape[1:3])
        pairs = list(zip(*(_input(x[:, :height, :width], grey)
                           for x in (references, distorted)), strict=True))
        if bytes_in:
            pairs = [tuple(np.uint8(np.round(255 * x)) for x in pair) for pair in pairs]
        if grey:
            pairs = [tuple(x[..., 0] for x in pair) for pair in pairs]
        return lambda: np.array([pick(call(*pair, **keywords)) for pair in pairs])
    return prepare


def _input(images: np.ndarray, grey: bool) -> np.ndarray:
    return (images @ np.array(GREY, images.dtype))[..., None] if grey else images


def _ssimulacra2(references, distorted):
    import io

    from PIL import Image
    from ssimulacra2 import compute_ssimulacra2

    def file(image):
        data = io.BytesIO()
        Image.fromarray(np.uint8(np.round(255 * image))).save(data, 'PNG', compress_level=0)
        return data

    pairs = [(file(a), file(b)) for a, b in zip(references, distorted, strict=True)]
    return lambda: np.array([compute_ssimulacra2(*pair) for pair in pairs])


def _lpips(network: str):
    """lpips with the ImageNet weights that our own reader finds."""
    def prepare(references, distorted):
        import lpips
        import torch

        metric = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
        return _with_weights(metric.net, network, metric, references, distorted,
                             lambda a, b: metric(a, b, normalize=True), torch)
    return prepare


def _dists(references, distorted):
    import DISTS_pytorch
    import torch
    import torchvision

    bare = torchvision.models.vgg16(weights=None)  # the package would download its weights
    with mock.patch('torchvision.models.vgg16', return_value=bare):
        metric = DISTS_pytorch.DISTS()
    return _with_weights(metric, 'vgg', metric, references, distorted,
                         lambda a, b: metric(b, a), torch)


def _with_weights(holder, network, metric, references, distorted, call, torch):
    from vision_jax.iqa.full_reference import lpips as ours

    layers = [m for m in holder.modules() if isinstance(m, torch.nn.Conv2d)]
    load = {'alex': ours.alex_weights, 'vgg': ours.vgg_weights}[network]
    stack = load()['trunk']['params']
    for layer, name in zip(layers, sorted(stack), strict=True):
        kernel, bias = (np.array(stack[name][part]) for part in ('kernel', 'bias'))
        layer.weight.data = torch.from_numpy(np.transpose(kernel, (3, 2, 0, 1)).copy())
        layer.bias.data = torch.from_numpy(bias)
    metric.eval()
    a, b = (torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))
            for x in (distorted, references))

    def score():
        with torch.no_grad():
            return torch.cat([call(a[i:i + 1], b[i:i + 1]).reshape(-1)
                              for i in range(len(a))]).numpy()
    return score


_PIQ_NOTHING = {'reduction': 'none'}
_PER_CHANNEL = 'scores each channel and averages'
_YIQ_GREY = 'grey is .299 R + .587 G + .114 B'
# piq's and pyiqa's FSIMc.
_FSIMC_PORT = {'downsample_rule': 'crop', 'yiq_digits': 'four_digits',
               'negative_chroma': 'absolute'}
_EPSILON = 'adds 1e-8 to the MSE'
_TM = 'torchmetrics.functional.image'

PEERS: dict[str, list[Peer]] = {
    'mse': [
        Peer('skimage', 'metrics.mean_squared_error(a, b)',
             _each('skimage.metrics', 'mean_squared_error'), {}),
    ],
    'psnr': [
        Peer('skimage', 'metrics.peak_signal_noise_ratio(a, b, data_range=1)',
             _each('skimage.metrics', 'peak_signal_noise_ratio', data_range=1), {}),
        Peer('piq', 'psnr(b, a)', _torch('piq', 'psnr', **_PIQ_NOTHING), {'epsilon': 1e-8},
             _EPSILON),
        Peer('pyiqa', "create_metric('psnr')", _pyiqa('psnr'), {'epsilon': 1e-8}, _EPSILON),
        Peer('torchmetrics', 'peak_signal_noise_ratio(b, a, data_range=1.0)',
             _torch(_TM, 'peak_signal_noise_ratio', data_range=1.0, dim=(1, 2, 3),
                    reduction='none'), {}),
        Peer('tensorflow', 'image.psnr(a, b, max_val=1)', _tensorflow('psnr'), {}),
        Peer('cv2', 'quality.QualityPSNR_compute(a, b), mean of the channels',
             _each('cv2', 'quality.QualityPSNR_compute', bytes_in=True,
                   pick=lambda x: float(np.mean(x[0][:3]))), {'average': 'channels'},
             'averages the PSNR of the channels'),
    ],
    'psnr_y': [
        Peer('piq', 'psnr(b, a, convert_to_greyscale=True)',
             _torch('piq', 'psnr', convert_to_greyscale=True, **_PIQ_NOTHING),
             {'colour': 'bt601', 'epsilon': 1e-8}, f'{_YIQ_GREY}, full range; {_EPSILON}'),
        Peer('pyiqa', "create_metric('psnry')", _pyiqa('psnry'),
             {'colour': 'bt601', 'epsilon': 1e-8}, f'{_YIQ_GREY}, full range; {_EPSILON}'),
    ],
    'ssim': [
        Peer('skimage', 'metrics.structural_similarity(a, b, channel_axis=-1, data_range=1)',
             _each('skimage.metrics', 'structural_similarity', channel_axis=-1, data_range=1),
             {'colour': 'each', 'window': 'uniform', 'window_size': 7, 'covariance': 'sample'},
             f'7x7 uniform window, sample covariance; {_PER_CHANNEL}'),
        Peer('skimage', 'the same with gaussian_weights=True, sigma=1.5, '
             'use_sample_covariance=False',
             _each('skimage.metrics', 'structural_similarity', channel_axis=-1, data_range=1,
                   gaussian_weights=True, sigma=1.5, use_sample_covariance=False),
             {'colour': 'each'}, _PER_CHANNEL),
        Peer('piq', 'ssim(b, a)', _torch('piq', 'ssim', **_PIQ_NOTHING),
             {'colour': 'each', 'downsample': 'pool'},
             f'averages 2x2 and more pixels first; {_PER_CHANNEL}'),
        Peer('piq', 'ssim(b, a, downsample=False)',
             _torch('piq', 'ssim', downsample=False, **_PIQ_NOTHING), {'colour': 'each'},
             _PER_CHANNEL),
        Peer('pyiqa', "create_metric('ssim')", _pyiqa('ssim'), {'colour': 'bt601_uint8'},
             f'{_YIQ_GREY}, rounded'),
        Peer('torchmetrics', 'structural_similarity_index_measure(b, a, data_range=1.0)',
             _torch(_TM, 'structural_similarity_index_measure', data_range=1.0,
                    reduction='none'), {'colour': 'each', 'padding': 'reflect'},
             f'averages the map over the mirrored border too; {_PER_CHANNEL}'),
        Peer('pytorch_msssim', 'ssim(b, a, data_range=1)',
             _torch('pytorch_msssim', 'ssim', data_range=1, size_average=False),
             {'colour': 'each'}, _PER_CHANNEL),
        Peer('tensorflow', 'image.ssim(a, b, max_val=1)', _tensorflow('ssim'),
             {'colour': 'each'}, f'{_PER_CHANNEL}; loses digits of small variances in float32'),
    ],
    'ms_ssim': [
        Peer('tensorflow', 'image.ssim_multiscale(a, b, max_val=1)',
             _tensorflow('ssim_multiscale'), {'colour': 'each'}, _PER_CHANNEL),
        Peer('piq', 'multi_scale_ssim(b, a)', _torch('piq', 'multi_scale_ssim', **_PIQ_NOTHING),
             {'colour': 'each', 'downsample': 'pool'},
             f'drops an odd last row or column at each level; {_PER_CHANNEL}'),
        Peer('pyiqa', "create_metric('ms_ssim')", _pyiqa('ms_ssim'), None,
             f'pads odd sides with zeros; {_YIQ_GREY}'),
        Peer('torchmetrics', 'multiscale_structural_similarity_index_measure(b, a, data_range=1)',
             _torch(_TM, 'multiscale_structural_similarity_index_measure', data_range=1.0,
                    reduction='none'), None,
             f'averages each map over its mirrored border too; {_PER_CHANNEL}'),
        Peer('pytorch_msssim', 'ms_ssim(b, a, data_range=1)',
             _torch('pytorch_msssim', 'ms_ssim', data_range=1, size_average=False),
             {'colour': 'each', 'downsample': 'pool_zero'},
             f'pads odd sides with zeros; {_PER_CHANNEL}'),
    ],
    'iw_ssim': [
        Peer('piq', 'information_weighted_ssim(b, a)',
             _torch('piq', 'information_weighted_ssim', **_PIQ_NOTHING), {'colour': 'bt601'},
             _YIQ_GREY),
    ],
    'uqi': [
        Peer('torchmetrics', 'universal_image_quality_index(b, a)',
             _torch(_TM, 'universal_image_quality_index', reduction='none'),
             {'colour': 'each', 'window': 'gaussian'},
             f'Gaussian window of 11; windows that are flat in both images count 0, not 1; '
             f'{_PER_CHANNEL}'),
        Peer('sewar', 'uqi(a, b)', _each('sewar', 'uqi'), None,
             'takes sums for means in part of the formula'),
    ],
    'fsim': [
        Peer('piq', 'fsim(b, a, chromatic=False)',
             _torch('piq', 'fsim', chromatic=False, **_PIQ_NOTHING), {'downsample_rule': 'crop'},
             'rounds half to even and drops ragged edges when it down-samples'),
    ],
    'fsimc': [
        Peer('piq', 'fsim(b, a)', _torch('piq', 'fsim', **_PIQ_NOTHING),
             _FSIMC_PORT, 'YIQ matrix of four digits; drops ragged edges'),
        Peer('pyiqa', "create_metric('fsim')", _pyiqa('fsim'),
             _FSIMC_PORT, 'YIQ matrix of four digits; drops ragged edges'),
    ],
    'vsi': [
        Peer('piq', 'vsi(b, a)', _torch('piq', 'vsi', **_PIQ_NOTHING),
             {'resize_rule': 'torch', 'downsample_rule': 'pool'},
             'resizes the saliency without antialiasing, back with aligned corners'),
        Peer('pyiqa', "create_metric('vsi')", _pyiqa('vsi'),
             {'resize_rule': 'torch', 'downsample_rule': 'pool'}, 'as piq'),
    ],
    'gmsd': [
        Peer('piq', 'gmsd(b, a)', _torch('piq', 'gmsd', **_PIQ_NOTHING),
             {'colour': 'bt601', 'deviation': 'population'},
             f'{_YIQ_GREY}; population deviation'),
        Peer('pyiqa', "create_metric('gmsd')", _pyiqa('gmsd'),
             {'colour': 'bt601_uint8', 'ragged': 'crop'},
             f'{_YIQ_GREY}, rounded; drops an odd last row or column'),
        Peer('cv2', 'quality.QualityGMSD_compute(a, b) of MATLAB grey',
             _each('cv2', 'quality.QualityGMSD_compute', grey=True, bytes_in=True,
                   pick=lambda x: float(x[0][0])),
             {'colour': 'matlab_uint8', 'deviation': 'population'}, 'population deviation'),
    ],
    'ms_gmsd': [
        Peer('piq', 'multi_scale_gmsd(b, a)',
             _torch('piq', 'multi_scale_gmsd', **_PIQ_NOTHING), {}),
    ],
    'ms_gmsdc': [
        Peer('piq', 'multi_scale_gmsd(b, a, chromatic=True)',
             _torch('piq', 'multi_scale_gmsd', chromatic=True, **_PIQ_NOTHING), {}, ''),
    ],
    'mdsi': [
        Peer('piq', 'mdsi(b, a)', _torch('piq', 'mdsi', **_PIQ_NOTHING), {}, ''),
    ],
    'haarpsi': [
        Peer('piq', 'haarpsi(b, a)', _torch('piq', 'haarpsi', **_PIQ_NOTHING),
             {'yiq_digits': 'four_digits'}, 'YIQ matrix of four digits'),
    ],
    'srsim': [
        Peer('piq', 'srsim(b, a)', _torch('piq', 'srsim', singly=True, **_PIQ_NOTHING), {},
             'called pair by pair: of a batch it stretches the saliency over all pictures at once, '
             'up to 1e-3 apart'),
    ],
    'dss': [
        Peer('piq', 'dss(b, a)', _torch('piq', 'dss', **_PIQ_NOTHING), {'colour': 'bt601'},
             _YIQ_GREY),
    ],
    'vif': [
        Peer('pyiqa', "create_metric('vif')", _pyiqa('vif'), {'colour': 'bt601_uint8'},
             f'{_YIQ_GREY}, rounded; float32'),
    ],
    'vifp': [
        Peer('piq', 'vif_p(b, a)', _torch('piq', 'vif_p', **_PIQ_NOTHING), {'colour': 'bt601'},
             _YIQ_GREY),
        Peer('torchmetrics', 'visual_information_fidelity(255 b, 255 a)',
             _torch(_TM, 'visual_information_fidelity', white=255.0, reduction='none'),
             {'colour': 'each'}, _PER_CHANNEL),
    ],
    'cw_ssim': [
        Peer('pyiqa', "create_metric('cw_ssim')", _pyiqa('cw_ssim'), {'colour': 'bt601_uint8'},
             f'{_YIQ_GREY}, rounded'),
    ],
    'nlpd': [
        Peer('pyiqa', "create_metric('nlpd')", _pyiqa('nlpd'),
             {'convention': 'pyiqa', 'colour': 'bt601'},
             f'leaves out the farthest weight; {_YIQ_GREY}'),
        Peer('plenoptic', 'metric.nlpd(a, b) of MATLAB grey',
             _torch('plenoptic.metric', 'nlpd', grey=True), {'convention': 'plenoptic'},
             'other taps and borders of the pyramid; weights not flipped'),
    ],
    'mad': [
        Peer('pyiqa', "create_metric('mad')", _pyiqa('mad'), None,
             'weights orientations, not scales; each channel alone; other masking; no margin'),
    ],
    'psnr_hvs': [
        Peer('psnr_hvsm', 'psnr_hvs_hvsm(a, b)[0]',
             _each('psnr_hvsm', 'psnr_hvs_hvsm', grey=True, multiple=8,
                   pick=lambda x: float(x[0])), {}),
    ],
    'psnr_hvsm': [
        Peer('psnr_hvsm', 'psnr_hvs_hvsm(a, b)[1]',
             _each('psnr_hvsm', 'psnr_hvs_hvsm', grey=True, multiple=8,
                   pick=lambda x: float(x[1])), {}),
    ],
    'flip': [
        Peer('flip_evaluator', "evaluate(a, b, 'LDR')",
             _each('flip_evaluator', 'evaluate', dynamicRangeString='LDR',
                   applyMagma=False, pick=lambda x: float(x[1])), {},
             'adds up its mean in float32'),
    ],
    'ssimulacra2': [
        Peer('ssimulacra2', 'compute_ssimulacra2(a.png, b.png), the files in memory',
             _ssimulacra2, {'convention': 'python'},
             'a true Gaussian where the authors have a recursive one')],
    'lpips_alex': [
        Peer('lpips', "LPIPS(net='alex')", _lpips('alex'), {}, '')],
    'lpips_vgg': [Peer('lpips', "LPIPS(net='vgg')", _lpips('vgg'), {}, '')],
    'dists': [Peer('DISTS_pytorch', 'DISTS()', _dists, {}, '')],
}
