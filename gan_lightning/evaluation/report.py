"""Reports: the result of an evaluation with its settings, as a line of JSON and as a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Self

from gan_lightning.data import lines


@dataclass(frozen=True)
class Report:
    """The result of one evaluation by one recipe.

    Args:
        recipe: name of the recipe.
        extractor: name of the extractor's class.
        fingerprint: digest of the extractor: its class, weights and preprocessing.
        preprocessing: description of the steps from pixels to network, in words: the resize.
        real: the reference images: a folder, or a data set and its split.
        fake: the evaluated images: a folder or a checkpoint.
        num_real: number of reference images.
        num_fake: number of evaluated images.
        seeds: seeds of the random draws, one for each value.
        values: for each metric, one value for each seed.
        seconds: wall time of all seeds together.
        settings: everything else that affects the numbers: precision, truncation, images seen in training, versions.
    """

    recipe: str
    extractor: str
    fingerprint: str
    preprocessing: str
    real: str
    fake: str
    num_real: int
    num_fake: int
    seeds: Sequence[int]
    values: dict[str, list[float]]
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_seeds(cls, reports: Sequence[Self]) -> Self:
        """Return one report of several that differ only in their seeds."""
        return replace(
            reports[0],
            seeds=[seed for report in reports for seed in report.seeds],
            values={name: [value for report in reports for value in report.values[name]] for name in reports[0].values},
            seconds=sum(report.seconds for report in reports),
        )

    def mean(self, name: str) -> float:
        """Return the mean of a metric over the seeds."""
        return fmean(self.values[name])

    def deviation(self, name: str) -> float | None:
        """Return the sample standard deviation of a metric over the seeds, or None with one seed."""
        return stdev(self.values[name]) if len(self.seeds) > 1 else None

    def as_json(self) -> str:
        """Return one line of JSON: each metric with its values, mean and standard deviation (null with one seed)."""
        fields = asdict(self)
        fields["values"] = {
            name: {"mean": self.mean(name), "std": self.deviation(name), "each": values}
            for name, values in self.values.items()
        }
        return json.dumps(fields)

    def append_to(self, path: Path) -> None:
        """Append the report as a line to a file."""
        lines.append(path, self.as_json())

    def table(self) -> str:
        """Return a table for people: the recipe above, one metric a row."""
        width = max(map(len, self.values), default=0)
        seeds = ", ".join(map(str, self.seeds))
        rows = [
            f"{self.recipe}: {self.num_fake:,} images of {self.fake}",
            f"against {self.num_real:,} of {self.real}",
            f"features by {self.extractor} ({self.preprocessing}), {self.fingerprint[:12]}; seed {seeds}",
        ]
        for name in self.values:
            spread = self.deviation(name)
            rows.append(f"  {name:{width}}  {self.mean(name):.6g}" + ("" if spread is None else f" ± {spread:.2g}"))
        return "\n".join(rows)
