"""The conventions of public functions and classes, over all there are."""

import importlib
import inspect
import pkgutil
import re

import pytest

import vision_jax

# Where functions compute on arrays, or a user calls them by name: every argument is documented.
DOCUMENTED = ('catalog', 'ops', 'losses', 'nn', 'weights', 'iqa', 'evaluators', 'data.distortions')
# Where `key` is a PRNG key and comes before the arrays; a task's `loss` has it after the batch.
COMPUTING = ('ops', 'losses', 'iqa', 'data.distortions')


def public_objects() -> list[tuple[str, object]]:
    """Each public function and class as `module.name`, where it is defined."""
    found = []
    for info in pkgutil.walk_packages(vision_jax.__path__, 'vision_jax.'):
        module = importlib.import_module(info.name)
        found += [(f'{info.name}.{name}', value) for name, value in vars(module).items()
                  if (inspect.isfunction(value) or inspect.isclass(value))
                  and value.__module__ == info.name and not name.startswith('_')]
    return found


OBJECTS = public_objects()
FUNCTIONS = [row for row in OBJECTS if inspect.isfunction(row[1])]


def within(name: str, packages: tuple[str, ...]) -> bool:
    return name.startswith(tuple(f'vision_jax.{package}.' for package in packages))


def violations(name: str, function) -> list[str]:
    """What the signature and the docstring of a function do otherwise than agreed."""
    parameters = inspect.signature(function).parameters
    wrong = [f'{p}: call a PRNG key `key`' for p in ('rng', 'prng', 'rngs') if p in parameters]
    for index, parameter in enumerate(parameters.values()):
        if parameter.kind == parameter.KEYWORD_ONLY:
            continue
        # `build(variant, **overrides)` is the contract of a model
        if parameter.default is not parameter.empty and function.__name__ != 'build':
            wrong.append(f'{parameter.name}: an option goes after `*`')
        if within(name, COMPUTING) and parameter.name == 'key' and index:
            wrong.append('key: comes first')
    if within(name, DOCUMENTED) and parameters:
        _, _, text = (inspect.getdoc(function) or '').partition('Args:\n')
        wrong += [f'{p}: not under Args' for p in parameters
                  if not re.search(rf'^    [^:]*\b{p}\b[^:]*:', text, re.MULTILINE)]
    return wrong


def test_there_are_public_functions():
    names = [name for name, _ in OBJECTS]
    assert 'vision_jax.iqa.full_reference.vsi.vsi' in names
    assert len(names) > 300


def test_every_module_has_a_docstring():
    modules = pkgutil.walk_packages(vision_jax.__path__, 'vision_jax.')
    assert not [m.name for m in modules if not importlib.import_module(m.name).__doc__]


@pytest.mark.parametrize(('name', 'value'), OBJECTS, ids=[name for name, _ in OBJECTS])
def test_everything_public_has_a_docstring_of_its_own(name, value):
    own = vars(value).get('__doc__') if inspect.isclass(value) else value.__doc__
    assert own, name
    # what a NamedTuple or a dataclass is given where its author wrote nothing
    assert not own.startswith(f'{value.__name__}('), name


@pytest.mark.parametrize(('name', 'function'), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_signatures_and_arguments_follow_the_conventions(name, function):
    assert not violations(name, function)


def test_the_rules_catch_what_they_should():
    def blur(image, key, sigma=1.0, *, rng=None):
        """Blurs.

        Args:
            image: `*b h w 3`.
        """

    assert violations('vision_jax.ops.filters.blur', blur) == [
        'rng: call a PRNG key `key`', 'key: comes first', 'sigma: an option goes after `*`',
        'key: not under Args', 'sigma: not under Args', 'rng: not under Args']
    assert violations('vision_jax.core.step.blur', blur) == [
        'rng: call a PRNG key `key`', 'sigma: an option goes after `*`']
