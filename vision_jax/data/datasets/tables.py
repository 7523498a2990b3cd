"""Reading the score tables that data sets publish: text, CSV, MATLAB and spreadsheets."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.io

from vision_jax.core.errors import InputError


def read_csv(encoded: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file with a header."""
    return list(csv.DictReader(io.StringIO(encoded.decode('utf-8-sig'))))


def read_mat(encoded: bytes, name: str) -> np.ndarray:
    """The variable `name` of a MATLAB file, flattened; cells of text become text."""
    values = scipy.io.loadmat(io.BytesIO(encoded))[name].ravel()
    if values.dtype == object:
        return np.array([str(np.asarray(cell).item()) for cell in values])
    return values


def read_xlsx(encoded: bytes, *, sheet: str = '', header: str) -> Iterator[dict[str, Any]]:
    """The rows of a spreadsheet below the row that holds the cell `header`.

    Args:
        encoded: The `.xlsx` file.
        sheet: Which sheet; the first without a name.
        header: A column title by which the header row is known; rows without a value in that
            column are left out.

    Raises:
        InputError: Without openpyxl, or if no row holds `header`.
    """
    try:
        import openpyxl
    except ImportError:
        raise InputError("reading .xlsx scores needs openpyxl: pip install "
                         "'vision_jax[spreadsheets]'") from None
    book = openpyxl.load_workbook(io.BytesIO(encoded), read_only=True, data_only=True)
    rows = (book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True)
    titles = next((row for row in rows if header in row), None)
    if titles is None:
        raise InputError(f"no column '{header}' in the spreadsheet")
    for row in rows:
        named = {title: cell for title, cell in zip(titles, row, strict=False) if title}
        if named.get(header) is not None:
            yield named
