"""HYPE: people say which images are real (Zhou et al. 2019, arXiv 1904.01121), on a small web page of our own."""

from gan_lightning.evaluation.hype.command import hype, hype_report

__all__ = ["hype", "hype_report"]
