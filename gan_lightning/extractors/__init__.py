"""Networks that compute features for the comparison of images."""
