"""VSI beside piq: milliseconds an image on tiles, and on photographs of 512x512.

    pip install -e '.[bench]'; python benchmarks/vsi.py [--rounds=7]

Both score the same float32 images on the same cores, in turn (A B A B); our first call, with its
compilation, is timed apart. Three jobs: pairs; all distorted versions of one reference, whose terms
are computed once (piq has no such call and scores pairs); gradients with respect to the distorted
image. `ratio` is our best round to the peer's. The scores of both are compared too, under the
options that reproduce piq's.
"""

import argparse
import json
import resource
import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from vision_jax.iqa.full_reference.vsi import image_terms, vsi, vsi_from_terms

PIQ_RULES = {'resize_rule': 'torch', 'downsample_rule': 'pool'}
SIZES = {'tiles of 192': (25, 192), 'photographs of 512': (4, 512)}


def images(count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """One smooth coloured reference, repeated, and its noisy versions."""
    generator = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(generator.random((side, side, 3)), (4, 4, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    noise = generator.normal(0, 0.05, (count, side, side, 3))
    references = np.broadcast_to(smooth, noise.shape).astype(np.float32)
    return references, np.clip(references + noise, 0, 1).astype(np.float32)


def ours_and_piqs(references, distorted) -> dict:
    """Job to (our call, piq's call or `None` without piq)."""
    slope = jax.jit(jax.grad(lambda a, b: vsi(a, b).sum(), argnums=1))
    pairs = jax.jit(vsi)
    shared = jax.jit(lambda one, many: jax.vmap(vsi_from_terms, in_axes=(None, 0))(
        image_terms(one), image_terms(many)))
    on_device = jnp.asarray(references), jnp.asarray(distorted)
    jobs = {
        'pairs': lambda: pairs(*on_device).block_until_ready(),
        'shared reference': lambda: shared(on_device[0][0], on_device[1]).block_until_ready(),
        'gradients': lambda: slope(*on_device).block_until_ready(),
    }
    peer, peer_slope = _piq(references, distorted)
    peers = {'pairs': peer, 'shared reference': peer, 'gradients': peer_slope}
    return {job: (call, peers[job]) for job, call in jobs.items()}


def _piq(references, distorted):
    try:
        import piq
        import torch
    except ImportError as error:
        print(f"no peer: {error}; pip install '.[bench]'")
        return None, None
    a, b = (torch.from_numpy(np.moveaxis(x, -1, 1).copy()) for x in (references, distorted))

    def score():
        with torch.no_grad():
            return piq.vsi(b, a, reduction='none')

    def gradient():
        leaf = b.clone().requires_grad_()
        return torch.autograd.grad(piq.vsi(leaf, a, reduction='sum'), leaf)

    difference = np.abs(np.asarray(vsi(references, distorted, **PIQ_RULES)) - score().numpy())
    print(f'torch {torch.__version__} ({torch.get_num_threads()} threads), piq {piq.__version__}; '
          f'greatest difference of the scores {difference.max():.1e}')
    return score, gradient


def best_in_turn(calls: list, rounds: int) -> list[float]:
    """The least seconds of each call; the calls alternate within a round."""
    seconds = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return [min(times) for times in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=7)
    rounds = parser.parse_args().rounds
    lines = []
    for size, (count, side) in SIZES.items():
        for job, calls in ours_and_piqs(*images(count, side)).items():
            calls = [call for call in calls if call is not None]
            start = time.perf_counter()
            calls[0]()
            compile_s = time.perf_counter() - start
            ours, *peer = (seconds / count for seconds in best_in_turn(calls, rounds))
            line = {
                'name': f'vsi, {size}, {job}', 'ours_s': ours, 'peer': 'piq' if peer else None,
                'peer_s': peer[0] if peer else None, 'ratio': ours / peer[0] if peer else None,
                'first_call_s': compile_s,
                'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                'device': jax.devices()[0].device_kind, 'jax': jax.__version__,
            }
            against = f'{1e3 * peer[0]:8.2f}   {line["ratio"]:.2f}' if peer else 'no peer'
            print(f'{line["name"]:42s} {1e3 * ours:8.2f} ms an image   piq {against}')
            lines.append(line)
    print(json.dumps(lines))


if __name__ == '__main__':
    main()
