"""Batches, images and files: the parts that data modules share with the rest of the library."""
