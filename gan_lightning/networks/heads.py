"""Heads that let a discriminator compare the images of a batch, so that it detects a generator of a single image.

Any discriminator of this library takes them as its argument `head` (see `gan_lightning.networks.discriminator`):

    discriminator:
      class_path: gan_lightning.networks.DCGANDiscriminator
      init_args:
        head:
          class_path: gan_lightning.networks.heads.MinibatchDiscrimination
          init_args: {kernels: 50}

With either of them a logit depends on the other images of its batch, in evaluation as in training: judge images in
batches like those of training, and real and fake ones in separate batches. The parts that `accumulate` cuts a batch
into, and the ranks of a distributed run, are separate batches. Penalties on the gradient of each image's logit, such as
WGAN-GP's, lose their meaning, as they do with batch norm.
"""

import torch
from torch import Tensor, nn

from gan_lightning.ranges import Checked, PositiveInt


class MinibatchDiscrimination(Checked, nn.Module):
    """Minibatch discrimination, then a linear layer.

    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016, arXiv
    1606.03498, section 3.2. With M = T f(x), a matrix (kernels, kernel_dims) for each image,

        o_b(x_i) = sum_{j != i} exp(-||M_ib - M_jb||_1)

    measures, for kernel b, the closeness of the rest of the batch; it is appended to the features. In a batch of one
    image o is 0.

    NOTE: the sum leaves out j = i, as in the authors' code; the paper's sum includes that constant 1.
    NOTE: T is initialised like any linear layer of its network; the code normalises it, and sets its scale and a bias
        of o by a first batch of data.

    Args:
        num_features: F, number of features of an image.
        kernels: B, number of values of o.
        kernel_dims: C, number of dimensions in which a kernel measures distance.
    """

    def __init__(self, num_features: PositiveInt, kernels: PositiveInt = 100, kernel_dims: PositiveInt = 5) -> None:
        super().__init__()
        self.kernels = kernels
        self.kernel = nn.Linear(num_features, kernels * kernel_dims, bias=False)
        self.linear = nn.Linear(num_features + kernels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F) to logits (N, 1). Memory grows with N² · kernels · kernel_dims."""
        m = self.kernel(features).float().unflatten(1, (self.kernels, -1))  # (N, B, C)
        distances = (m[:, None] - m).abs().sum(dim=3)  # (N, N, B)
        itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
        closeness = torch.exp(-distances.masked_fill(itself[:, :, None], torch.inf)).sum(dim=1)  # (N, B)
        return self.linear(torch.cat([features, closeness.to(features.dtype)], dim=1))


class MinibatchStdDev(Checked, nn.Module):
    """Minibatch standard deviation, then a linear layer.

    Karras, Aila, Laine, Lehtinen, "Progressive Growing of GANs", 2017, arXiv 1710.10196, section 3. The batch is cut
    into groups. The standard deviation of each feature over a group, averaged over the features, is appended as one
    more feature of each image of the group. In a group of one image it is (nearly) 0.

    NOTE: the authors append it as a map before their last convolution; here features are flat.
    NOTE: their batches must be multiples of the group size. Here N images make N // group_size groups, at least one,
        and the remaining images join the first groups.

    Args:
        num_features: F, number of features of an image.
        group_size: number of images in a group.
    """

    def __init__(self, num_features: PositiveInt, group_size: PositiveInt = 4) -> None:
        super().__init__()
        self.group_size = group_size
        self.linear = nn.Linear(num_features + 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F) to logits (N, 1)."""
        count = len(features)
        groups = max(count // self.group_size, 1)
        group = torch.arange(count, device=features.device) % groups  # of each image
        member = torch.eye(groups, device=features.device)[group]  # (N, groups)
        mean_of = (member / member.sum(dim=0)).T  # (groups, N): the matrix that takes means over groups
        with torch.autocast(features.device.type, enabled=False):
            x = features.float()
            variance = mean_of @ (x - (mean_of @ x)[group]).square()  # (groups, F)
            deviation = (variance + 1e-8).sqrt().mean(dim=1)[group]  # (N,)
        return self.linear(torch.cat([features, deviation[:, None].to(features.dtype)], dim=1))
