"""Evaluation: the images to compare, one pass over them for all metrics, and the report of the result."""

from gan_lightning.evaluation.cache import FeatureCache
from gan_lightning.evaluation.evaluator import Evaluator, MetricChoice
from gan_lightning.evaluation.recipes import Recipe, find_recipe
from gan_lightning.evaluation.report import Report

__all__ = ["Evaluator", "FeatureCache", "MetricChoice", "Recipe", "Report", "find_recipe"]
