"""What happens beside the training: evaluation, pictures, predictions, requeueing."""

from gan_lightning.callbacks.evaluation import Evaluation
from gan_lightning.callbacks.health import Health
from gan_lightning.callbacks.predictions import PredictionWriter
from gan_lightning.callbacks.requeue import SlurmRequeue
from gan_lightning.callbacks.samples import SampleGrid

__all__ = ["Evaluation", "Health", "PredictionWriter", "SampleGrid", "SlurmRequeue"]
