"""The catalogue: every row resolves, wrong names are answered, listing filters."""

import pytest

from vision_jax import catalog
from vision_jax.core.errors import InputError


@pytest.mark.parametrize('name', catalog.CATALOG)
def test_every_row_resolves_to_a_function_with_a_docstring(name):
    function = catalog.get(name)
    assert callable(function)
    assert function.__doc__


@pytest.mark.parametrize('name', catalog.CATALOG)
def test_every_row_cites_a_source_with_a_year(name):
    assert any(str(year) in catalog.entry(name).reference for year in range(1750, 2100))


def test_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="no method 'vssi'.*did you mean 'vsi'"):
        catalog.get('vssi')


def test_names_filter_by_domain_and_kind():
    assert 'vsi' in catalog.names(domain='iqa', kind='full_reference')
    assert catalog.names(kind='meta_learner') == ['maml', 'reptile', 'anil', 'bilevel']
    assert catalog.names(domain='no such domain') == []
