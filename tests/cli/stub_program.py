"""In the place of gan_lightning: a `fit` that leaves the files of a run at once, or fails, or waits for a signal."""

import json
import os
import signal
import sys
import time
from pathlib import Path

flags = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[2:] if "=" in word)
folder, seed = Path(flags["trainer.default_root_dir"]), flags["seed_everything"]
lr = float(flags.get("model.generator_optimizer.init_args.lr", "1"))
folder.mkdir(parents=True, exist_ok=True)
with (folder.parent / "started.txt").open("a") as file:
    file.write(f"{folder.name} {' '.join(sys.argv[1:2])}\n")
(folder / "arguments.json").write_text(json.dumps(sys.argv[1:]))
(folder / "config.yaml").write_text(f"seed_everything: {seed}\ntrainer:\n  default_root_dir: {folder}\nlr: {lr}\n")
if os.environ.get("FAILS") == folder.name:
    sys.exit(3)
if os.environ.get("WAITS") == folder.name:
    heard: list[int] = []
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(each, lambda number, frame: heard.append(number))
    parent = int(os.environ["PARENT"])
    os.kill(parent, int(os.environ["SIGNAL"]))
    while not heard:
        time.sleep(0.01)
    time.sleep(0.05)  # for a second signal to come
    (folder / "heard.json").write_text(json.dumps(heard))
    sys.exit(0 if heard[0] == signal.SIGUSR1 else 128 + heard[0])
if os.environ.get("WORSE") == folder.name:
    (folder / "metrics.csv").write_text("step,val/fid,images_seen\n1,99,8\n2,98,16\n")
    time.sleep(20)  # until it is stopped
score = "nan" if os.environ.get("DIVERGES") == folder.name else lr * (5 + int(seed))
(folder / "metrics.csv").write_text(f"step,val/fid,images_seen\n1,99,8\n2,{score},16\n")
limits = {name: flags.get(f"trainer.{name}") for name in ("max_epochs", "max_steps", "max_time")}
limits["max_steps"] = limits["max_steps"] or "-1"
(folder / "run.json").write_text(json.dumps({"starts": [{"finished": limits}]}))
