"""A number and how it was made, kept together: one evaluation as a line of JSON and as a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Self

from gan_lightning.data import lines


@dataclass(frozen=True)
class Report:
    """One evaluation, by one recipe.

    Args:
        recipe: its name.
        extractor: name of the extractor's class.
        fingerprint: of the extractor: its class, weights and preprocessing.
        preprocessing: from pixels to network, in words: the resize.
        real: what was compared with: a folder, or a data set and its split.
        fake: what was evaluated: a folder or a checkpoint.
        num_real: images in the reference set.
        num_fake: images evaluated.
        seeds: of the draws, one for each value.
        values: of each metric, one for each seed.
        seconds: wall time of all seeds together.
        settings: whatever else makes a difference: precision, truncation, images seen in training, versions.
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
        """One report of several that differ in their seeds only."""
        return replace(
            reports[0],
            seeds=[seed for report in reports for seed in report.seeds],
            values={name: [value for report in reports for value in report.values[name]] for name in reports[0].values},
            seconds=sum(report.seconds for report in reports),
        )

    def mean(self, name: str) -> float:
        """Mean of a metric over the seeds."""
        return fmean(self.values[name])

    def deviation(self, name: str) -> float | None:
        """Sample standard deviation of a metric over the seeds; None with one seed."""
        return stdev(self.values[name]) if len(self.seeds) > 1 else None

    def as_json(self) -> str:
        """One line of JSON; each metric with its values, their mean and, of several seeds, standard deviation."""
        fields = asdict(self)
        fields["values"] = {
            name: {"mean": self.mean(name), "std": self.deviation(name), "each": values}
            for name, values in self.values.items()
        }
        return json.dumps(fields)

    def append_to(self, path: Path) -> None:
        """Add the line to a file of such lines."""
        lines.append(path, self.as_json())

    def table(self) -> str:
        """What a person reads: the recipe above, a metric a row."""
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
