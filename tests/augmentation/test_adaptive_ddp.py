"""Two gloo processes: one p, moved by the images of both. The script is this file itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.data.batches import ImageBatch
from gan_lightning.networks.discriminator import DiscriminatorOutput
from toys import ToyData, ToyGAN, trainer

HERE = Path(__file__).parent


def test_p_is_one_for_all_processes(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{HERE.parents[1]}{os.pathsep}{HERE.parent}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "test_adaptive_ddp.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    # Each batch has 16 images over both processes, 4 batches of which move p by 64 / 640. The first process takes all
    # of its images for real (r_t = 1), the second half of them (0) in the first four batches and none (-1) after:
    # together 0.5, and then 0, where the target is 0.4.
    assert first["p"] == second["p"] == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0])
    assert first["signs"] == second["signs"] == pytest.approx([0.5, 1, 1.5, 0, 0, 0, 0, 0])


class Scripted(ToyGAN):
    """A game in which the discriminator's logits differ between processes."""

    def discriminator_loss(self, batch: ImageBatch, fake: Any) -> Any:
        real, made = self.discriminate(batch.images).logits[0], self.discriminate(fake).logits[0]
        terms = {"adversarial": self.loss.discriminator(real, made)}
        logits = torch.ones(8)
        if self.global_rank == 1:
            logits[: 4 if self.batches_seen < 4 else 8] = -1
        self.adversarial_loss(DiscriminatorOutput.of(logits), DiscriminatorOutput.of(logits))
        return terms


class Notes(L.Callback):
    """Keeps p after each batch."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {"p": [], "signs": []}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        augmentation = pl_module.augmentation
        self.seen["p"].append(float(augmentation.p))
        self.seen["signs"].append(float(augmentation.signs))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    L.seed_everything(0)
    notes = Notes()
    # of the two strategies the one that, by itself, would overwrite what the second process keeps in buffers
    strategy = "ddp_find_unused_parameters_true"
    run = trainer(folder, devices=2, strategy=strategy, max_epochs=1, limit_val_batches=0, callbacks=[notes])
    run.fit(Scripted(augmentation=AdaptiveAugmentation(target=0.4, adjustment=640)), ToyData(batches=8, size=8))
    (folder / f"{run.global_rank}.json").write_text(json.dumps(notes.seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
