import logging

import pytest


@pytest.fixture(autouse=True)
def lightning_as_loud_as_before():
    """The benchmarks quieten Lightning; the tests that come after read what it says."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
