"""Train the digit classifier of `gan_lightning.metrics.DigitClassifier` on MNIST's 60,000 training images.

The script writes `gan_lightning/assets/digit_classifier.safetensors`. It takes a few minutes on one CPU core. It prints
the accuracy on MNIST's 10,000 test images, which are used for nothing else, and does not save a classifier below 99%.

    python scripts/train_digit_classifier.py --root FOLDER     # FOLDER/MNIST/raw is torchvision's own layout
"""

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from torchvision.datasets import MNIST

from gan_lightning.extractors.digits import WEIGHTS, LeNet

VERSION = "1"
MAX_DEGREES, MAX_SCALE, MAX_SHIFT = 10.0, 0.1, 2.0  # of the augmentation; the shift is in pixels


def load(root: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Load images, float (N, 1, 28, 28) in [0, 1], and their labels."""
    mnist = MNIST(root, train=train, download=False)
    return mnist.data.unsqueeze(1).float() / 255, mnist.targets


def jitter(images: Tensor) -> Tensor:
    """Rotate, scale and shift each image slightly, so that features do not depend on MNIST's exact centring."""
    angle, scale, shift_x, shift_y = (torch.rand(4, len(images)) * 2 - 1).unbind()
    angle, scale = angle * math.radians(MAX_DEGREES), 1 + scale * MAX_SCALE
    shift = MAX_SHIFT / (images.shape[-1] / 2)  # affine_grid measures in half-widths
    cos, sin = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack([cos, -sin, shift_x * shift, sin, cos, shift_y * shift], dim=1).view(-1, 2, 3)
    return F.grid_sample(images, F.affine_grid(theta, list(images.shape), align_corners=False), align_corners=False)


def main() -> None:
    """Train, print the test accuracy, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder that contains MNIST/raw")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "gan_lightning" / WEIGHTS)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate of Adam, one cycle")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    images, labels = load(arguments.root, train=True)
    network = LeNet()
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.lr)
    steps = math.ceil(len(images) / arguments.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.lr, total_steps=arguments.epochs * steps)

    start = time.perf_counter()
    for epoch in range(arguments.epochs):
        total = 0.0
        for batch in torch.randperm(len(images)).split(arguments.batch_size):
            _, logits = network(jitter(images[batch]))
            loss = F.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / steps:.4f}, {time.perf_counter() - start:.0f} s", flush=True)

    network.eval()
    test_images, test_labels = load(arguments.root, train=False)
    with torch.no_grad():
        predicted = torch.cat([network(part)[1].argmax(dim=1) for part in test_images.split(1000)])
    accuracy = (predicted == test_labels).double().mean().item()
    print(f"accuracy on MNIST's test images: {accuracy:.4f}")
    if accuracy < 0.99:
        raise SystemExit("not saved: the classifier must reach 0.99; train longer (--epochs)")
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, arguments.out, metadata={"version": VERSION, "test_accuracy": f"{accuracy:.4f}"})
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
