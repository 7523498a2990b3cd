"""Full-reference metrics: `metric(reference, distorted, *, ...)`; `*b h w c` to scores `*b`."""
