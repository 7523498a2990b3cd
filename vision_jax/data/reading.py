"""One batch of examples: read, decoded, cropped, stacked; a corrupt image stops or is replaced."""

from typing import Any, NamedTuple

import numpy as np

from vision_jax.core.errors import InputError, nearest
from vision_jax.data import transforms
from vision_jax.data.sources import Source

ON_CORRUPT = ('stop', 'skip')
MOST_CORRUPT_IN_A_ROW = 100
NONE_SKIPPED = -1


class Preprocessing(NamedTuple):
    """What is done to each image.

    Attributes:
        resize: Shorter side in pixels; 0 keeps the size.
        kernel: Resize kernel, a name of `transforms.KERNELS`.
        crop: Side of the square cut out, at random in training and in the middle else; 0 keeps all.
        flip: Whether training images are mirrored half of the time.
        train: Whether the transforms are random.
    """

    resize: int = 0
    kernel: str = 'bilinear'
    crop: int = 0
    flip: bool = False
    train: bool = False

    @classmethod
    def from_config(cls, config, *, train: bool) -> 'Preprocessing':
        """The options `resize`, `resize_kernel`, `crop` and `flip` of a `data` section."""
        return cls(resize=config.get('resize', 0), kernel=config.get('resize_kernel', 'bilinear'),
                   crop=config.get('crop', 0), flip=config.get('flip', False), train=train)

    def __call__(self, generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """uint8 `[h, w, 3]` to float32 in [0, 1]."""
        if self.resize:
            image = transforms.resize_shorter_side(image, self.resize, kernel=self.kernel)
        if self.crop and self.train:
            image = transforms.random_crop(generator, image, self.crop)
        elif self.crop:
            image = transforms.central_crop(image, self.crop)
        if self.flip and self.train:
            image = transforms.random_flip(generator, image)
        return transforms.to_unit_float(image)


class BatchReader:
    """Reads examples of a source, with numbers only (text, such as `path`, cannot be batched).

    Each example has `skipped`: the index of the corrupt image that it replaces, or -1.

    Args:
        source: The examples.
        preprocessing: What is done to each image.
        seed: Fixes crops, flips and replacements.
        on_corrupt: `'stop'` raises on a corrupt image; `'skip'` takes another.
    """

    def __init__(self, source: Source, preprocessing: Preprocessing, *, seed: int, on_corrupt: str):
        if not len(source):
            raise InputError('no images found: the source is empty')
        if on_corrupt not in ON_CORRUPT:
            raise InputError(f"no data.on_corrupt='{on_corrupt}'{nearest(on_corrupt, ON_CORRUPT)}")
        self._source, self._preprocessing, self._seed = source, preprocessing, seed
        self._skip = on_corrupt == 'skip'

    def read(self, index: int, *, position: int, replace: bool) -> dict[str, Any]:
        """Example `index`, or where it is corrupt and `replace`, another drawn at random."""
        generator = np.random.default_rng((self._seed, 0, position))
        if not (replace and self._skip):
            return self._example(generator, index)
        candidates = [index, *generator.integers(len(self._source), size=MOST_CORRUPT_IN_A_ROW)]
        return self._first_readable(generator, iter(candidates))

    def read_first(self, candidates: np.ndarray, count: int, *, position: tuple[int, int],
                   ) -> dict[str, Any]:
        """The first `count` candidates that can be decoded, stacked."""
        generator = np.random.default_rng((self._seed, 3, *position))
        left = iter(candidates)
        return self.stack([self._first_readable(generator, left) for _ in range(count)])

    def read_masked(self, indices: list[int | None]) -> dict[str, Any]:
        """A batch with `mask`: 0 at `None` (padding) and at corrupt images that are skipped."""
        generator = np.random.default_rng(self._seed)
        examples, real = [], []
        for index in indices:
            try:
                example = None if index is None else self._example(generator, int(index))
                skipped = NONE_SKIPPED
            except transforms.CorruptImageError:
                if not self._skip:
                    raise
                example, skipped = None, int(index)
            real.append(example is not None)
            examples.append(example or {'skipped': np.int64(skipped)})
        template = next((e for e in examples if 'image' in e), None) or self._any(generator)
        blank = {name: np.zeros_like(value) for name, value in template.items()}
        batch = self.stack([{**blank, **example} for example in examples])
        return {**batch, 'mask': np.asarray(real, np.float32)}

    def stack(self, examples: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        """Joins examples along a new leading axis; images of several sizes are an error."""
        shapes = {example['image'].shape for example in examples}
        if len(shapes) > 1:
            first, second = sorted(shapes)[:2]
            raise InputError(f'images of {first} and {second} cannot share a batch; '
                             'set data.crop (and data.resize)')
        return {name: np.stack([e[name] for e in examples]) for name in examples[0]}

    def _any(self, generator: np.random.Generator) -> dict[str, Any]:
        """Any readable example: a batch of nothing but padding has its shapes."""
        indices = range(min(len(self._source), MOST_CORRUPT_IN_A_ROW))
        return self._first_readable(generator, iter(indices))

    def _first_readable(self, generator: np.random.Generator, candidates) -> dict[str, Any]:
        skipped, last = NONE_SKIPPED, ''
        for index in candidates:
            try:
                example = self._example(generator, int(index))
            except transforms.CorruptImageError as error:
                if not self._skip:
                    raise
                skipped, last = (int(index) if skipped < 0 else skipped), str(error)
            else:
                return {**example, 'skipped': np.int64(skipped)}
        raise InputError(f'too many images cannot be decoded; the last: {last}')

    def _example(self, generator: np.random.Generator, index: int) -> dict[str, Any]:
        fields = self._source[index]
        image = self._preprocessing(generator, fields['image'])
        numbers = {name: np.asarray(value) for name, value in fields.items() if name != 'image'}
        numbers = {name: value for name, value in numbers.items() if value.dtype.kind in 'fiub'}
        return {'image': image, **numbers, 'skipped': np.int64(NONE_SKIPPED)}
