"""Linear worlds: styles, images and log odds are affine, so that edits and regressions are known in closed form."""

import torch
from torch import Tensor, nn

from gan_lightning.classifiers import Classifier
from gan_lightning.inference import LatentSampler
from gan_lightning.latent import LatentSpace


class LinearGenerator(nn.Module):
    """Pixels of a grey 4x4 image are A w; without styles, A z."""

    def __init__(self, styled: bool = True, latent_dim: int = 6) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 0
        random = torch.Generator().manual_seed(0)
        self.A = nn.Parameter(0.1 * torch.randn(16, latent_dim, generator=random))
        if styled:
            self.mapping, self.synthesis = nn.Identity(), self.forward

    def forward(self, w: Tensor) -> Tensor:
        return (w @ self.A.T).view(-1, 1, 4, 4)


class LinearClassifier(Classifier):
    """Log odds are C x for the pixels x."""

    def __init__(self, outputs: int = 4) -> None:
        super().__init__([f"a{i}" for i in range(outputs)], "attributes", (4, 4), 1)
        random = torch.Generator().manual_seed(1)
        self.C = nn.Parameter(torch.randn(outputs, 16, generator=random))
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(16, outputs, bias=False))
        self.network[1].weight = self.C


def world(styled: bool = True, outputs: int = 4) -> tuple[LatentSpace, LinearClassifier, Tensor]:
    """Return the space, the classifier, and the matrix M (K, d) of the log odds M w."""
    generator, classifier = LinearGenerator(styled), LinearClassifier(outputs)
    return LatentSpace(LatentSampler(generator), batch_size=3), classifier, (classifier.C @ generator.A).detach()
