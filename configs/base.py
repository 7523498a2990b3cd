"""The keys that every experiment has, with the engine's defaults; an experiment overrides them."""

import ml_collections


def base() -> ml_collections.ConfigDict:
    """A config with every key of the engine; the caller fills in task, model and data."""
    config = ml_collections.ConfigDict()
    config.task = ''
    config.seed = 0
    config.parallel = 'pmap'  # or 'jit': jit with NamedSharding
    config.model = ml_collections.ConfigDict()
    config.weights = ml_collections.ConfigDict({'path': '', 'name_map': '', 'prefix': ''})
    config.meta = ml_collections.ConfigDict({'name': ''})

    config.data = ml_collections.ConfigDict()
    config.data.name = ''
    config.data.directory = ''  # where data sets are kept; empty: ~/.cache/vision_jax/data
    config.data.folder = ''  # of the data set `folder`, your own images
    config.data.table = ''  # its labels; empty: labels.csv in that folder
    config.data.archive_directory = ''  # a published archive; empty: downloads/manual/NAME there
    config.data.label = ''  # the column to learn; empty: the data set's own choice
    config.data.train_split = 'train'
    config.data.test_split = 'test'
    config.data.split_seed = 0
    config.data.batch_size = 64  # over all devices and processes; with episodes, tasks a step
    config.data.workers = 0  # processes that decode and augment
    config.data.prefetch = 2  # batches kept on the devices
    config.data.on_corrupt = 'stop'  # or 'skip': report, count, go on

    config.train = ml_collections.ConfigDict()
    config.train.steps = 1000
    config.train.accumulate = 1
    config.train.ema_decay = 0.0
    config.train.compute_dtype = 'float32'  # or 'bfloat16'
    config.train.log_every = 50
    config.train.eval_every = 500
    config.train.checkpoint_every = 500

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.name = 'adam'
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = ml_collections.ConfigDict({'name': 'constant_schedule'})
    config.optimizer.clip_norm = 0.0  # 0: no clipping
    config.optimizer.weight_decay = 0.0
    config.optimizer.freeze = ()  # patterns of parameter paths
    config.optimizer.lr_multipliers = ()  # pairs of a pattern and a factor

    config.checkpoint = ml_collections.ConfigDict()
    config.checkpoint.keep = 3
    config.checkpoint.best_metric = ''
    config.checkpoint.best_mode = 'max'
    config.evaluators = ()
    return config
