"""Image quality as a number: regression of a quality label from an image or its features."""

import jax.numpy as jnp

from vision_jax import catalog
from vision_jax.core.errors import InputError, nearest
from vision_jax.core.task import Task
from vision_jax.losses import regression

LOSSES = {
    'squared_error': regression.squared_error,
    'absolute_error': regression.absolute_error,
    'huber': regression.huber,
}


def make(config) -> Task:
    """The task of predicting `batch['quality']` from `batch[config.model.input]`.

    Args:
        config: `model.name` is a model of the catalogue and `model.input` the batch's field that
            it takes (`image` or `features`); the other keys of `model` go to its `build`.
            `loss` is one of `LOSSES`.

    Raises:
        InputError: On an unknown model or loss.
    """
    options = dict(config.model)
    name, field = options.pop('name'), options.pop('input')
    models = [*catalog.names(kind='quality_model')]
    if name not in models:
        raise InputError(f"no quality model '{name}'{nearest(name, models)}")
    if config.loss not in LOSSES:
        raise InputError(f"no loss '{config.loss}'{nearest(config.loss, LOSSES)}")
    return quality_task(catalog.get(name)(**options), LOSSES[config.loss], field=field)


def quality_task(model, loss_function, *, field: str = 'image') -> Task:
    """Joins a quality network and an element-wise loss to a `Task`.

    Args:
        model: Module `batch[field] -> (quality [b], intermediates)`.
        loss_function: `(predictions [b], targets [b]) -> [b]`.
        field: The batch's field that the model takes.

    Returns:
        A task over batches of `{field, 'quality' [b]}` and, optionally, `mask [b]`. Its sums hold
        the loss, the squared and the absolute error.
    """

    def init(key, batch):
        variables = dict(model.init(key, batch[field], train=False))
        return variables.pop('params'), variables

    def loss(params, model_state, batch, key, train):
        variables = {'params': params, **model_state}
        if train:
            (quality, _), model_state = model.apply(
                variables, batch[field], train=True, rngs={'dropout': key},
                mutable=list(model_state),
            )
        else:
            quality, _ = model.apply(variables, batch[field], train=False)
        target = batch['quality']
        mask = batch.get('mask', jnp.ones_like(target))
        count = mask.sum()
        sums = {
            'loss': (jnp.sum(mask * loss_function(quality, target)), count),
            'squared_error': (jnp.sum(mask * jnp.square(quality - target)), count),
            'absolute_error': (jnp.sum(mask * jnp.abs(quality - target)), count),
        }
        return sums['loss'][0] / jnp.maximum(count, 1), (dict(model_state), sums)

    def predict(params, model_state, batch):
        quality, _ = model.apply({'params': params, **model_state}, batch[field], train=False)
        return {'quality': quality}

    return Task(init, loss, predict)
