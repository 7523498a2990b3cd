"""Frames of a video as they were written, and its score as their mean."""

import json
import pathlib
import sys

import numpy as np
import pytest
from skimage import data

from launch import score
from vision_jax.core.errors import InputError
from vision_jax.data import video

av = pytest.importorskip('av')
FRAMES = [np.ascontiguousarray(np.roll(data.chelsea()[:48, :64], 3 * i, axis=1)) for i in range(5)]


def write(path: str | pathlib.Path, frames, *, pixels: str = 'bgr0', array: str = 'rgb24'):
    """A video of frames of one size."""
    pictures = [av.VideoFrame.from_ndarray(frame, format=array) for frame in frames]
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('ffv1', rate=10)  # which loses nothing
        stream.height, stream.width = pictures[0].height, pictures[0].width
        stream.pix_fmt = pixels
        for picture in pictures:
            container.mux(stream.encode(picture.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def test_lossless_frames_are_exact(tmp_path):
    found = list(video.frames(write(tmp_path / 'x.mkv', FRAMES)))
    np.testing.assert_array_equal(found, FRAMES)


def test_16_bits_are_kept(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (48, 64, 3)).astype(np.uint16)
    path = write(tmp_path / 'x.mkv', [deep], pixels='gbrp16le', array='rgb48le')
    (found,) = video.frames(path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, deep)


def test_luma_and_chroma_become_rgb_without_a_bias(tmp_path):
    planes = np.full((72, 64), 128, np.uint8)
    planes[:48] = np.linspace(60, 200, 48 * 64).reshape(48, 64)
    planes[48:60], planes[60:] = 110, 150  # chroma, everywhere the same
    path = write(tmp_path / 'x.mkv', [planes], pixels='yuv420p', array='yuv420p')
    (found,) = video.frames(path)
    luma = 255 / 219 * (planes[:48].astype(float) - 16)
    blue, red = 110 - 128, 150 - 128  # ITU-R BT.601, studio range
    expected = np.stack([luma + 1.596027 * red, luma - 0.391762 * blue - 0.812968 * red,
                         luma + 2.017232 * blue], axis=-1)
    assert np.abs(found - expected).max() < 0.6


def run(capfd, *arguments: str) -> tuple[int, list[dict], str]:
    code = score.main([*arguments, '--metrics=psnr', '--json'])
    out, err = capfd.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_the_score_of_a_video_is_the_mean_of_its_frames(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    write('a.mkv', FRAMES)
    noisy = [np.clip(frame + np.int16(index + 1), 0, 255).astype(np.uint8)
             for index, frame in enumerate(FRAMES)]
    write('b.mkv', noisy)
    code, rows, _ = run(capfd, 'a.mkv', 'b.mkv', '--frames')
    assert code == 0
    expected = [-10 * np.log10(((a / 255 - b / 255) ** 2).mean())
                for a, b in zip(FRAMES, noisy, strict=True)]
    assert [row.get('frame') for row in rows] == [0, 1, 2, 3, 4, None]
    np.testing.assert_allclose([row['value'] for row in rows], [*expected, np.mean(expected)],
                               rtol=1e-5)
    code, rows, _ = run(capfd, 'a.mkv', 'b.mkv')
    assert [row['value'] for row in rows] == pytest.approx([np.mean(expected)], rel=1e-5)


def test_videos_that_do_not_go_together(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    write('a.mkv', FRAMES)
    write('short.mkv', FRAMES[:3])
    write('small.mkv', [frame[:32, :32] for frame in FRAMES])
    pathlib.Path('junk.mkv').write_bytes(b'x' * 999)
    for other, message in (
            ('short.mkv', 'short.mkv ends after 3 frames, a.mkv goes on'),
            ('small.mkv', 'small.mkv has 32x32 pixels, its reference a.mkv 64x48'),
            ('junk.mkv', 'junk.mkv: Invalid data'), ('none.mkv', 'none.mkv: No such file'),
            ('a.png', 'a.png is a picture, but a.mkv a video')):
        code, rows, err = run(capfd, 'a.mkv', other)
        assert (code, rows) == (1, [])
        assert err.startswith(f'error: {message}')
        assert err.count('\n') == 1


def test_without_pyav_there_is_a_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(InputError, match=r"needs PyAV; run: pip install 'vision_jax\[video\]'"):
        next(video.frames(tmp_path / 'x.mp4'))
