"""Imports point one way, files stay short, and nothing heavy or unsafe is imported at run time."""

import ast
import pathlib

import pytest

LAYERS = [
    {'core', 'ops'},
    {'losses', 'nn', 'weights'},
    {
        'iqa', 'face_quality', 'aesthetics', 'recognition', 'detection', 'segmentation',
        'matting', 'flow', 'explain', 'restoration', 'retrieval',
    },
    {'meta', 'data'},
    {'tasks', 'evaluators'},
    {'train', 'few_shot'},
]
DOMAINS = LAYERS[2]
EVERYWHERE = {'catalog'}  # reads only core/errors.py, and imports by name
RANK = {package: rank for rank, layer in enumerate(LAYERS) for package in layer}
FORBIDDEN = {'torch', 'tensorflow', 'pickle', 'cv2', 'pandas'}
RESTRICTED_UNPICKLER = 'restricted_pickle.py'
LONGEST_FILE = 400


def imported_modules(source: str) -> list[str]:
    """Every module that a source text imports, also inside functions."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [f'{node.module}.{alias.name}' for alias in node.names]
    return found


def package_of(module: str) -> str | None:
    """The part below `vision_jax` that a module name belongs to."""
    parts = module.split('.')
    return parts[1] if parts[0] == 'vision_jax' and len(parts) > 1 else None


def violations(package: str, source: str) -> list[str]:
    """What the text of a file in `package` imports against the rule."""
    wrong = []
    for module in imported_modules(source):
        target = package_of(module)
        if module.split('.')[0] in ('launch', 'configs', 'colabs', 'tests'):
            wrong.append(f'{package} imports {module}')
        if target is None or target in EVERYWHERE or target.startswith('__'):
            continue
        if RANK[target] > RANK[package] or (target != package and {target, package} <= DOMAINS):
            wrong.append(f'{package} imports {module}')
    return wrong


LIBRARY = pathlib.Path(__file__).resolve().parents[1] / 'vision_jax'


@pytest.mark.parametrize('path', sorted(LIBRARY.rglob('*.py')), ids=lambda path: path.name)
def test_imports_point_one_way(path):
    package = path.relative_to(LIBRARY).parts[0].removesuffix('.py')
    if package in EVERYWHERE | {'__init__'}:
        return
    assert not violations(package, path.read_text())


@pytest.mark.parametrize(
    ('package', 'source'),
    [
        ('core', 'from vision_jax.nn import resnet'),
        ('iqa', 'import vision_jax.recognition.align'),
        ('meta', 'def f():\n    from vision_jax import train'),
        ('nn', 'from vision_jax.data.pipeline import batches'),
        ('tasks', 'import launch.train'),
    ],
)
def test_the_rule_catches_a_bad_import(package, source):
    assert violations(package, source)


def test_every_package_has_a_layer(repository):
    packages = {p.name for p in (repository / 'vision_jax').iterdir() if p.is_dir()}
    assert packages - {'__pycache__'} <= set(RANK) | EVERYWHERE


@pytest.mark.parametrize('folder', ['vision_jax', 'launch', 'configs', 'tests', 'benchmarks'])
def test_files_are_short(repository, folder):
    for path in sorted((repository / folder).rglob('*.py')):
        assert len(path.read_text().splitlines()) <= LONGEST_FILE, path


@pytest.mark.parametrize('folder', ['vision_jax', 'launch', 'configs'])
def test_nothing_forbidden_is_imported(repository, folder):
    for path in sorted((repository / folder).rglob('*.py')):
        text = path.read_text()
        heavy = {module.split('.')[0] for module in imported_modules(text)} & FORBIDDEN
        assert not heavy or (path.name == RESTRICTED_UNPICKLER and heavy == {'pickle'}), path


def test_only_one_file_knows_pmap(repository):
    users = [p.name for p in (repository / 'vision_jax').rglob('*.py') if 'pmap(' in p.read_text()]
    assert users in ([], ['parallel.py'])


def test_no_file_is_a_grab_bag(repository):
    assert not [p for p in repository.rglob('util*.py') if '.venv' not in p.parts]
