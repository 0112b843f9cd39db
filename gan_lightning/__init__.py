"""Generative adversarial networks on PyTorch Lightning 2."""
