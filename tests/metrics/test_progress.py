import io
import sys

import torch

from gan_lightning.metrics.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_shown_on_the_first_rank_for_what_takes_long(monkeypatch):
    now = 0.0

    def shown(seconds, rank=None):
        nonlocal now
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: rank is not None)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr("tqdm.std.time", lambda: now)
        with progress("nearest neighbours", total=10) as bar:
            for _ in range(10):
                now += seconds / 10
                bar.update()
        return terminal.getvalue()

    assert shown(seconds=1) == ""
    assert "nearest neighbours" in shown(seconds=60)
    assert "nearest neighbours" in shown(seconds=60, rank=0)
    assert shown(seconds=60, rank=1) == ""
