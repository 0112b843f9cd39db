"""Batches, images and files: all that data modules share with the rest."""
