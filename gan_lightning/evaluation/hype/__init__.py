"""HYPE (Zhou et al. 2019, arXiv 1904.01121): people judge on a small local web page which images are real."""

from gan_lightning.evaluation.hype.command import hype, hype_report

__all__ = ["hype", "hype_report"]
