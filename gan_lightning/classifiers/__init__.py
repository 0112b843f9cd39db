"""Classifiers of images, of classes or of attributes: training, files, scores. Nothing here needs Lightning."""

from gan_lightning.classifiers.classifier import Accuracy, Classifier, backbones
from gan_lightning.classifiers.training import held_back_images, measure, train

__all__ = ["Accuracy", "Classifier", "backbones", "held_back_images", "measure", "train"]
