"""Writes docs/metrics.md from the catalogue, the signatures and docs/peer_differences.csv.

    python docs/make_metrics.py

A test holds the page to what this prints.
"""

import csv
import inspect
import pathlib

from vision_jax import catalog

DOCS = pathlib.Path(__file__).resolve().parent
KINDS = {'full_reference': 'Full reference', 'reduced_reference': 'Reduced reference'}

HEAD = """\
# Metrics

Written by `docs/make_metrics.py` from the catalogue; `vision-jax score --list` prints the same
table. A metric is a function of float images `*b h w c` in [0, `data_range`], reference first, and
returns `*b` scores; it survives `jit`, `vmap` and `grad`.

```python
from vision_jax import catalog
score = catalog.get('ssim')(reference, distorted)              # the authors' convention
score = catalog.get('ssim')(reference, distorted, downsample='auto', colour='bt601')
```

## Why is my number different?
In the order of how often it is the answer:

1. **Grey or colour.** Authors who take a grey image get it from MATLAB's `rgb2gray`; most packages
   use .299 R + .587 G + .114 B, or score each channel and average (SSIM under noise: up to 0.17
   apart). `colour` names the rule: 'matlab' is rgb2gray of doubles and the default; 'matlab_uint8'
   rounds to 8 bits, as rgb2gray of an 8-bit picture does (1e-5 of SSIM, 5e-4 of GMSD); 'bt601' is
   piq's and pyiqa's; 'each' averages over the channels.
2. **Down-sampling.** Some methods average F by F pixels first, F = max(1, round(min(h, w) / 256)).
   MATLAB rounds a half up where Python rounds it to even (640 rows: 3 or 2), and keeps the ragged
   last row where `avg_pool2d` drops it. SSIM has both forms: 2003 without, 2009 with.
3. **Resizing.** `imresize` antialiases; torch's `interpolate` does not.
4. **Borders.** 'valid', mirrored and averaged, or mirrored and cropped.
5. **Windows and variances.** Gaussian of 11 or uniform of 7 or 8; divided by N or by N - 1.
6. **Data range.** White is 1 here. Give `data_range=255` for floats of 0 to 255.
7. **Identical pictures.** PSNR is infinite, or 80 dB where a package adds 1e-8.

"Ours as theirs" below are the keywords under which we compute the peer's number, with the greatest
difference that is left (float32). Differences are measured on 15 pairs (three photographs; blur,
noise, JPEG 10 and 40, contrast) by `benchmarks/peer_differences.py`.
"""


def page() -> str:
    """The text of the page."""
    return '\n'.join([HEAD, *_overview(), *(line for kind in KINDS for line in _kind(kind))])


def _overview() -> list[str]:
    lines = ['## All of them', '', 'Identity is the score of a picture against itself; a gradient '
             'is finite everywhere.', '',
             '| name | better | range | identity | symmetric | gradient | map | channels '
             '| least side |', '|---' * 9 + '|']
    for name in (n for kind in KINDS for n in catalog.names(kind=kind)):
        row = catalog.entry(name)
        yes = {True: 'yes', False: 'no'}
        lines.append(
            f'| [{name}](#{name}) | {"lower" if row.lower_is_better else "higher"} '
            f'| {_number(row.range[0])} to {_number(row.range[1])} | {_number(row.identity)} '
            f'| {yes[row.symmetric]} | {yes[row.differentiable]} | {yes[row.has_map]} '
            f'| {" or ".join(map(str, row.channels))} | {row.min_side} |')
    return [*lines, '']


def _number(value: float) -> str:
    return {float('inf'): 'inf', float('-inf'): '-inf'}.get(value, f'{value:g}')


def _kind(kind: str) -> list[str]:
    return [f'## {KINDS[kind]}', '',
            *(line for name in catalog.names(kind=kind) for line in _section(name))]


def _section(name: str) -> list[str]:
    row, function = catalog.entry(name), catalog.get(name)
    keywords = [f'`{p.name}={p.default!r}`' for p in inspect.signature(function).parameters.values()
                if p.kind == p.KEYWORD_ONLY and p.default is not p.empty]
    lines = [f'### {name}', '', f'{inspect.getdoc(function).splitlines()[0]} {row.reference}.', '',
             f'Default: {row.convention}.']
    if row.departures:
        lines.append(f'Otherwise than theirs: {row.departures}.')
    if row.extra:
        lines.append(f"Needs `pip install 'vision_jax[{row.extra}]'`.")
    lines += [f'Keywords: {", ".join(keywords)}.', '']
    rows = [r for r in _differences() if r['metric'] == name]
    return [*lines, *_table(rows)]


def _table(rows: list[dict[str, str]]) -> list[str]:
    if not rows:
        return []
    lines = ['| peer | mean difference | greatest | why | ours as theirs |', '|---' * 5 + '|']
    for row in rows:
        same = {'-': 'none', '': f'the default: {row["greatest_with_options"]}'}.get(
            row['options'], f'`{row["options"]}`: {row["greatest_with_options"]}')
        lines.append(f'| {row["package"]} {row["version"]} `{row["call"]}` | {row["mean"]} '
                     f'| {row["greatest"]} | {row["why"]} | {same} |')
    return [*lines, '']


def _differences() -> list[dict[str, str]]:
    with (DOCS / 'peer_differences.csv').open(newline='') as file:
        return list(csv.DictReader(file))


if __name__ == '__main__':
    (DOCS / 'metrics.md').write_text(page())
