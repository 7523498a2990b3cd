"""Every notebook runs from top to bottom in its smoke form."""

import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.filterwarnings('default')  # the kernel's own machinery warns; the cells are checked
@pytest.mark.parametrize('path', sorted((ROOT / 'colabs').glob('*.ipynb')), ids=lambda p: p.stem)
def test_notebook_runs(path, monkeypatch):
    monkeypatch.setenv('VISION_JAX_SMOKE', '1')
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get('outputs') for cell in notebook.cells), 'outputs are not committed'
    nbclient.NotebookClient(notebook, timeout=600, kernel_name='python3').execute()
    shown = [output for cell in notebook.cells for output in cell.get('outputs', ())]
    assert any('image/png' in output.get('data', {}) for output in shown)
