"""Callbacks beside the training: evaluation, pictures, predictions, checkpoints, progress, stopping, requeueing."""

from gan_lightning.callbacks.checkpoints import LastCheckpoint, ModelCheckpoint
from gan_lightning.callbacks.evaluation import Evaluation
from gan_lightning.callbacks.health import Health
from gan_lightning.callbacks.predictions import PredictionWriter
from gan_lightning.callbacks.probe import LinearProbe
from gan_lightning.callbacks.progress import Bar
from gan_lightning.callbacks.requeue import SlurmRequeue
from gan_lightning.callbacks.samples import SampleGrid
from gan_lightning.callbacks.stopping import StopOnSignal, Stopped
from gan_lightning.callbacks.targets import TargetScores

__all__ = [
    "Bar",
    "Evaluation",
    "Health",
    "LastCheckpoint",
    "LinearProbe",
    "ModelCheckpoint",
    "PredictionWriter",
    "SampleGrid",
    "SlurmRequeue",
    "StopOnSignal",
    "Stopped",
    "TargetScores",
]
