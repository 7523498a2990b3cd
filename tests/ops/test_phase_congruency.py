import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vision_jax.ops.phase_congruency import phase_congruency


def _filters(height, width):
    """Of Kovesi's description, filter by filter, frequency 0 in the middle until the end."""
    def axis(side):
        steps = np.arange(side) - side // 2
        return steps / (side - 1 if side % 2 else side)
    x, y = np.meshgrid(axis(width), axis(height))
    radius, theta = np.sqrt(x ** 2 + y ** 2), np.arctan2(-y, x)
    bank = []
    for orientation in range(4):
        angle = orientation * np.pi / 4
        turn = np.abs(np.angle(np.exp(1j * (theta - angle))))
        for scale in range(4):
            with np.errstate(divide='ignore'):
                gabor = np.exp(-np.log(radius * 6 * 2 ** scale) ** 2 / (2 * np.log(0.55) ** 2))
            gabor = gabor / (1 + (radius / 0.45) ** 30)
            bank.append(np.fft.ifftshift(gabor * np.exp(-turn ** 2 / (2 * (np.pi / 4.8) ** 2))))
    return np.array(bank).reshape(4, 4, height, width)


def _slow_phase_congruency(image):
    bank, spectrum = _filters(*image.shape), np.fft.fft2(image)
    energies, amplitudes = 0.0, 0.0
    for filters in bank:
        responses = [np.fft.ifft2(spectrum * f) for f in filters]
        total = sum(responses)
        direction = total / (np.abs(total) + 1e-4)
        aligned = [r * np.conj(direction) for r in responses]
        energy = sum(a.real - np.abs(a.imag) for a in aligned)
        noise = np.median(np.abs(responses[0]) ** 2) / np.log(2) / (filters[0] ** 2).sum()
        kernels = [np.fft.ifft2(f).real * np.sqrt(image.size) for f in filters]
        noise_energy = sum(2 * noise * (k ** 2).sum() for k in kernels)
        noise_energy += sum(4 * noise * (kernels[i] * kernels[j]).sum()
                            for i in range(4) for j in range(i + 1, 4))
        tau = np.sqrt(noise_energy / 2)
        threshold = tau * (np.sqrt(np.pi / 2) + 2 * np.sqrt(2 - np.pi / 2)) / 1.7
        energies = energies + np.maximum(energy - threshold, 0)
        amplitudes = amplitudes + sum(np.abs(r) for r in responses)
    return energies / amplitudes


@pytest.mark.parametrize('shape', [(32, 48), (31, 45)])
def test_equals_a_slow_version(shape):
    images = np.random.default_rng(0).uniform(0, 255, (3, *shape))
    images[:, 8:20, 10:30] += 200
    expected = [_slow_phase_congruency(image) for image in images]
    with jax.enable_x64(True):
        np.testing.assert_allclose(phase_congruency(jnp.asarray(images)), expected, atol=1e-12)
    np.testing.assert_allclose(phase_congruency(jnp.asarray(images, jnp.float32)), expected,
                               atol=1e-4)
    assert np.max(expected) > 0.5


def test_flat_image_has_none():
    for level in (0.0, 127.5, 255.0):
        assert float(phase_congruency(jnp.full((33, 40), level)).max()) < 1e-6
