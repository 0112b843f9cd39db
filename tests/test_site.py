"""The documentation site: what its pages are made of. `mkdocs build --strict` in .ci/run builds it."""

from dataclasses import replace
from pathlib import Path

import pytest
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files

from gan_lightning import models
from scripts import site_docstrings, site_pages


def test_every_model_has_a_page_with_paper_picture_caption_and_config() -> None:
    pages = site_pages.models()
    assert sorted(model.name for model in pages) == sorted(models.__all__)
    assert [sentence for model in pages for sentence in site_pages.missing(model)] == []
    for model in pages:
        assert getattr(models, model.name).__module__ == f"gan_lightning.models.{model.module}"
        assert model.members[0] == model.name
    captions = set(site_pages.captions())
    assert captions == {path.stem for path in (site_pages.ROOT / "docs/pictures").glob("*.png")} == set(models.__all__)


def test_a_model_that_lacks_something_ends_the_build_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = replace(site_pages.models()[0], name="NewGAN", module="new_gan", paper="", configs=())
    monkeypatch.setattr(site_pages, "models", lambda: [lacking])
    with pytest.raises(PluginError) as error:
        site_pages.on_files(Files([]), None)  # type: ignore[arg-type]
    said = str(error.value)
    for lack in ("config", "picture", "paper"):
        assert f"NewGAN has no {lack}" in said or f"NewGAN names no {lack}" in said
    for place in ("configs/new_gan/digits.yaml", "docs/pictures/NewGAN.png", "docs/pictures/captions.yaml"):
        assert place in said


def test_the_quickstart_is_the_first_config_and_overlays_and_sweeps_are_none() -> None:
    (dcgan,) = (model for model in site_pages.models() if model.name == "DCGAN")
    assert dcgan.configs[0] == "quickstart"
    every = {
        path.relative_to(site_pages.ROOT / "configs").with_suffix("").as_posix()
        for path in (site_pages.ROOT / "configs").rglob("*.yaml")
        if path.parent.name not in ("overlays", "sweeps")
    }
    assert {config for model in site_pages.models() for config in model.configs} == every


@pytest.mark.parametrize(
    ("source", "page", "before", "after"),
    [
        ("README.md", "index.md", "[a](docs/cluster.md#slurm)", "[a](cluster.md#slurm)"),
        ("README.md", "index.md", "![a](docs/curves.png)", "![a](curves.png)"),
        ("README.md", "index.md", '<img src="docs/curves.png" width="9">', '<img src="curves.png" width="9">'),
        ("README.md", "index.md", "[![a](docs/curves.png)](SECURITY.md)", "[![a](curves.png)](security.md)"),
        ("README.md", "index.md", "[a](benchmarks/README.md#training)", "[a](benchmarks.md#training)"),
        ("README.md", "index.md", "[a](configs/quickstart.yaml)", "[a](files/configs/quickstart.yaml)"),
        ("README.md", "index.md", "see [all](configs) of them", "see all of them"),
        ("README.md", "index.md", "[a](#models)", "[a](#models)"),
        ("README.md", "index.md", "[a](https://arxiv.org/abs/1)", "[a](https://arxiv.org/abs/1)"),
        ("README.md", "index.md", "[a](docs/notebooks/quickstart.ipynb)", "[a](notebooks/quickstart.md)"),
        ("benchmarks/README.md", "benchmarks.md", "[a](../docs/results.md#speed)", "[a](results.md#speed)"),
        ("docs/results.md", "results.md", "[a](../benchmarks/README.md)", "[a](benchmarks.md)"),
        ("docs/results.md", "results.md", "[a](evaluation.md)", "[a](evaluation.md)"),
        ("README.md", "index.md", "```\n[a](SECURITY.md)\n```\n", "```\n[a](SECURITY.md)\n```\n"),
    ],
)
def test_links_of_the_repository_are_links_of_the_site(source: str, page: str, before: str, after: str) -> None:
    assert site_pages.rewritten(before, source, page) == after


def test_a_file_that_a_document_names_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[a](LICENSE) [b](SECURITY.md) [c](docs/cluster.md) [d](https://a.org)\n```\n[e](pyproject.toml)\n```\n"
    (tmp_path / "README.md").write_text(text)
    monkeypatch.setattr(site_pages, "ROOT", tmp_path)
    assert list(site_pages.linked_files("README.md")) == ["LICENSE"]


@pytest.mark.parametrize(
    ("docstring", "markdown"),
    [
        ("E_x[D(x)] of a * b, k < N\n\n    E_x[D(x)]", "E\\_x\\[D(x)\\] of a \\* b, k &lt; N\n\n    E_x[D(x)]"),
        ("See `Known` and `a_b`.", "See [`Known`][package.Known] and `a_b`."),
        ("One.\n\nNOTE: first\n    goes on.\nNOTE: second.", "One.\n\nNote:\n    - first goes on.\n    - second."),
        ("Logged: `loss/a` is\n    minus b.", "**Logged:** `loss/a` is minus b."),
        (
            "Args:\n    a_b: of x_y,\n        and z_w.\n    c: d.",
            "Args:\n    a_b: of x\\_y,\n        and z\\_w.\n    c: d.",
        ),
        ("2015. arXiv 1511.06434.", "2015. [arXiv 1511.06434](https://arxiv.org/abs/1511.06434)."),
    ],
)
def test_docstrings_are_plain_text_with_code_notes_and_links(docstring: str, markdown: str) -> None:
    assert site_docstrings.markdown(docstring, {"Known": "package.Known"}) == markdown
