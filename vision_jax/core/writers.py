"""Where a run's figures go: JSONL, TensorBoard event files, and the terminal."""

import json
import math
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import tensorboardX
import tqdm

from vision_jax.core import workdir
from vision_jax.core.errors import InputError

SHOWN = ('loss', 'grad_norm', 'learning_rate')


class MetricWriter:
    """Appends rows to `metrics.jsonl`, and the same figures to TensorBoard event files.

    A row is `{"step": ..., "kind": "train" or "eval", name: number or null}`; null is a figure that
    is not defined (NaN).

    Args:
        folder: The run's folder.
        step: The step that the run resumes at. Later rows, of steps that will be done again, are
            taken out, and so is a last row that was cut off.

    Raises:
        InputError: If a row other than the last cannot be read.
    """

    def __init__(self, folder: pathlib.Path, *, step: int = 0):
        path = folder / workdir.METRICS
        _drop_rows_after(path, step)
        self._rows = path.open('a', encoding='utf-8')
        self._events = tensorboardX.SummaryWriter(
            str(folder / workdir.EVENTS), purge_step=step + 1, flush_secs=10,
            # Its own names have seconds: a quick second start would overwrite the first file.
            filename_suffix=f'.{time.time_ns()}',
        )

    def write(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Adds one row; it is with the operating system when this returns."""
        numbers = {name: _or_null(value) for name, value in values.items()}
        self._rows.write(json.dumps({'step': step, 'kind': kind, **numbers}) + '\n')
        self._rows.flush()
        for name, value in numbers.items():
            if value is not None:
                self._events.add_scalar(f'{kind}/{name}', value, step)

    def close(self) -> None:
        """Completes both."""
        self._rows.close()
        self._events.close()


class Progress:
    """A bar with rate and remaining time on a terminal, and plain lines elsewhere.

    Args:
        total: Steps of the work.
        step: Steps done before.
        stream: Where to; standard error by default.
        unit: What a step is called.
        title: What the work is called, where `advance` shows it.
        lines: How many plain lines `advance` writes over the whole work: 0 where `write` does.
    """

    def __init__(self, total: int, *, step: int = 0, stream: TextIO | None = None,
                 unit: str = 'step', title: str = '', lines: int = 0):
        self._stream = stream or sys.stderr
        self._total, self._first, self._begin = total, step, time.monotonic()
        self._unit, self._title, self._lines, self._done = unit, title, lines, step
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm.tqdm(total=total, initial=step, unit=unit, desc=title or None,
                                  file=self._stream, dynamic_ncols=True)

    def advance(self, step: int) -> None:
        """Notes that everything up to a step is done."""
        before, self._done = self._done, step
        if self._bar is not None:
            self._bar.update(step - before)
        elif step * self._lines // self._total > before * self._lines // self._total:
            self._line(f'{self._title} {step}/{self._total} {self._unit}s  {self._rate(step)}')

    def write(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Shows a row of figures: all of an evaluation, the main ones of training."""
        names = [n for n in SHOWN if n in values] if kind == 'train' else list(values)
        figures = '  '.join(f'{name} {values[name]:.4g}' for name in names)
        if self._bar is not None and kind == 'train':
            self._bar.set_postfix_str(figures)
        elif self._bar is not None:
            self._bar.write(f'{kind} {step}  {figures}', file=self._stream)
        else:
            self._line(f'{kind} {step}/{self._total}  {figures}  {self._rate(step)}')

    def note(self, text: str) -> None:
        """Writes a line of its own, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            self._line(text)

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def _line(self, text: str) -> None:
        self._stream.write(text.rstrip() + '\n')
        self._stream.flush()

    def _rate(self, step: int) -> str:
        """Steps a second since the start, and what is left at that rate."""
        done, seconds = step - self._first, time.monotonic() - self._begin
        if done <= 0 or seconds <= 0:
            return ''
        left = round((self._total - step) * seconds / done)
        clock = f'{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}'
        return f'{done / seconds:.3g} {self._unit}s/s  ETA {clock}'


def finite_json(value: Any) -> Any:
    """Nested dicts, lists and numbers with NaN and infinity as null, which JSON can hold."""
    if isinstance(value, Mapping):
        return {key: finite_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [finite_json(item) for item in value]
    return _or_null(value) if isinstance(value, float) else value


def _or_null(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _drop_rows_after(path: pathlib.Path, step: int) -> None:
    """Rewrites a log with its rows up to a step, if there is one."""
    if not path.exists():
        return
    lines = path.read_bytes().split(b'\n')  # the last is empty, or a row that was cut off
    kept = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row_step = json.loads(line)['step']
        except (ValueError, TypeError, KeyError):
            raise InputError(f'{path} line {number} is no row of a metrics log; '
                             'move the file away') from None
        if row_step <= step:
            kept.append(line + b'\n')
    with workdir.replacing(path) as temporary:
        temporary.write_bytes(b''.join(kept))
