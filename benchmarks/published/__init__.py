"""Published numbers, reproduced under the protocols of their papers.

python -m benchmarks.published --list
python -m benchmarks.published ring-gan ring-pac2 --seeds 0-2
python -m benchmarks.published --page docs/published.md

Each name is a row: a published number with its protocol. A run saves itself every few minutes in the folder, and the
same command goes on from there; a finished one adds a line of JSON to docs/published.jsonl. Seeds with a result are not
trained again, and further ones join their row. A protocol is never shortened: there is no argument for fewer steps.
Several seeds of a small network are trained as one batched network (see `benchmarks.batched`; tests show that each seed
ends as it would alone). Everything is float32 on one thread of the CPU.
MNIST is that in the folder that `GAN_LIGHTNING_DATA` names, in mnist/, or else in data/, where it is downloaded.
"""
