"""Folders of several domains, aligned or not, and folders with a table of attributes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from datamodules import AttributesFolder, DomainsFolder
from gan_lightning.data.batches import DomainsBatch, ImageBatch


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


def grey(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), level).save(path)


def sets(module: Any) -> list[Any]:
    """All training and all reference items, each as one batch."""
    module.prepare_data()
    module.setup("fit")
    whole = []
    for loader in (module.train_dataloader(), module.val_dataloader()):
        batches = list(loader)
        fields = zip(*batches, strict=True)
        whole.append(type(batches[0])(*(None if parts[0] is None else torch.cat(parts) for parts in fields)))
    return whole


@pytest.fixture
def styles(tmp_path) -> Path:
    """Twelve things in three styles: the level is the thing's number, plus 50 for each style."""
    for place, style in enumerate(["noto", "fluent", "openmoji"]):
        for thing in range(12):
            suffix = "bmp" if style == "noto" and thing % 2 else "png"
            grey(tmp_path / "styles" / style / f"{thing:02}.{suffix}", thing + 50 * place)
    (tmp_path / "styles" / "names.csv").write_text("name\n00\n")
    return tmp_path / "styles"


def test_each_sub_folder_is_a_domain(styles) -> None:
    module = DomainsFolder(styles, image_size=8, batch_size=1, channels=1, holdout=0.25)
    assert (module.classes, module.num_classes) == (["fluent", "noto", "openmoji"], 3)
    train, held = sets(module)
    assert isinstance(train, DomainsBatch)
    for batch, count in ((train, 9), (held, 3)):
        assert batch.truths is None
        assert batch.labels.bincount().tolist() == [count] * 3
        styles_of = torch.tensor([50, 0, 100])[batch.labels]
        assert (batch.images[:, 0, 0, 0].int() - styles_of).abs().max() < 12
    assert len({*train.images[:, 0, 0, 0].tolist(), *held.images[:, 0, 0, 0].tolist()}) == 36
    assert module.describe().class_names == ("fluent", "noto", "openmoji")


def test_aligned_domains_hold_back_things_and_know_the_truth(styles) -> None:
    module = DomainsFolder(styles, domains=["noto", "openmoji"], aligned=True, image_size=8, batch_size=1, channels=1)
    train, held = sets(module)
    things = [batch.images[:, 0, 0, 0].int() - 100 * batch.labels for batch in (train, held)]
    assert {*things[0].tolist()} | {*things[1].tolist()} == set(range(12))
    assert not {*things[0].tolist()} & {*things[1].tolist()}
    assert train.truths is None
    assert held.truths.shape == (len(held.images), 1, 2, 8, 8)
    assert torch.equal(held.truths[:, 0, :, 0, 0].int(), things[1][:, None] + torch.tensor([0, 100]))
    served = module.on_after_batch_transfer(held, 0)
    assert served.truths.dtype == torch.float32
    rows = torch.arange(len(held.images))
    assert torch.equal(served.truths[rows, :, held.labels], served.images)


def test_a_subset_and_all_as_reference(styles) -> None:
    module = DomainsFolder(styles, aligned=True, image_size=8, batch_size=1, channels=1, num_reference=5, holdout=0)
    train, held = sets(module)
    assert (len(train.images), len(held.images)) == (36, 5)
    assert torch.equal(held.truths[torch.arange(5), :, held.labels], held.images)


def test_a_test_folder_of_the_same_domains(styles, tmp_path) -> None:
    for style in ("fluent", "noto", "openmoji"):
        grey(tmp_path / "test" / style / "x.png", 200)
    _, held = sets(DomainsFolder(styles, test=tmp_path / "test", image_size=8, batch_size=1, channels=1))
    assert held.images[:, 0, 0, 0].tolist() == [200] * 3
    (tmp_path / "test" / "noto" / "x.png").unlink()
    (tmp_path / "test" / "noto").rmdir()
    with pytest.raises(FileNotFoundError, match=r"test has no sub-folder for the domains noto: name others"):
        DomainsFolder(styles, test=tmp_path / "test", image_size=8).prepare_data()


def test_domains_that_do_not_fit_are_named(styles, tmp_path) -> None:
    for how, said in [
        ({"domains": ["noto"]}, "name two or more sub-folders"),
        ({"domains": ["noto", "noto"]}, "each once"),
        ({"train": styles / "noto"}, "noto has 0 sub-folders, and each domain needs one"),
        ({"train": tmp_path / "absent"}, "there is no folder .*absent"),
        ({"domains": ["noto", "apple"]}, "has no sub-folder for the domains apple"),
    ]:
        with pytest.raises((ValueError, FileNotFoundError), match=said):
            DomainsFolder(**{"train": styles, "image_size": 8} | how).prepare_data()  # type: ignore[arg-type]
    grey(styles / "noto" / "new.png", 3)
    with pytest.raises(ValueError, match=r"fluent has no image named new, which another domain has: add them"):
        DomainsFolder(styles, aligned=True, image_size=8).prepare_data()
    grey(styles / "noto" / "new.bmp", 3)
    with pytest.raises(ValueError, match="noto has images whose names differ in their suffixes only"):
        DomainsFolder(styles, aligned=True, image_size=8).prepare_data()
    DomainsFolder(styles, image_size=8).prepare_data()
    (styles / "fluent" / "link.png").symlink_to(styles / "noto" / "new.png")
    with pytest.raises(ValueError, match="an image belongs to one domain"):
        DomainsFolder(styles, image_size=8).prepare_data()
    (styles / "fluent" / "link.png").unlink()
    (styles / "fluent" / "bad.png").write_text("no image")
    with pytest.raises(ValueError, match=r"bad\.png"):
        DomainsFolder(styles, image_size=8).prepare_data()


@pytest.fixture
def faces(tmp_path) -> Path:
    for number in range(20):
        grey(tmp_path / "faces" / f"{number:02}.png", number)
    lines = [f"{n:02}.png,{'test' if n >= 15 else 'train'},{n % 2},{int(n < 8)},{'red' if n % 3 else 'black'}" for n in range(20)]  # fmt: skip # noqa: E501
    (tmp_path / "table.csv").write_text("\n".join(["file,split,hat,smile,hair", *lines]))
    return tmp_path


def test_a_table_gives_attributes_and_the_split(faces) -> None:
    module = AttributesFolder(faces / "faces", faces / "table.csv", image_size=8, batch_size=1, channels=1)
    train, held = sets(module)
    assert isinstance(train, ImageBatch)
    for batch, numbers in ((train, range(15)), (held, range(15, 20))):
        found = batch.images[:, 0, 0, 0].tolist()
        assert sorted(found) == [*numbers]
        assert batch.labels.tolist() == [[float(n % 2), float(n < 8)] for n in found]
    assert module.num_classes is None
    assert module.describe().class_names == ("hat", "smile")
    assert module.describe().shapes["labels"] == (2,)


def test_columns_can_be_chosen(faces) -> None:
    chosen = {"attributes": ["smile", "hair"], "image_size": 8, "batch_size": 1, "channels": 1}
    module = AttributesFolder(faces / "faces", faces / "table.csv", **chosen)
    _, held = sets(module)
    assert list(module.attribute_names) == ["smile", "hair=black", "hair=red"]
    assert held.labels[held.images[:, 0, 0, 0] == 15].tolist() == [[0.0, 1.0, 0.0]]


def test_without_a_split_a_share_is_held_out(faces) -> None:
    table = faces / "table.csv"
    table.write_text(table.read_text().replace("split", "part"))
    how = {"attributes": ["hat"], "image_size": 8, "batch_size": 1, "channels": 1}
    train, held = sets(AttributesFolder(faces / "faces", table, **how))
    assert sorted([*train.images[:, 0, 0, 0].tolist(), *held.images[:, 0, 0, 0].tolist()]) == [*range(20)]
    assert len(held.images) == 4


def test_a_table_that_does_not_fit_is_named(faces) -> None:
    for how, said in [
        ({"attributes": ["glasses"]}, r"table\.csv has no column 'glasses': it has"),
        ({"attributes": []}, "name one column or more"),
        ({"table": faces / "absent.csv"}, r"there is no table .*absent\.csv"),
        ({"train": faces / "cache"}, "cache"),
    ]:
        given = {"train": faces / "faces", "table": faces / "table.csv", "image_size": 8} | how
        with pytest.raises((ValueError, FileNotFoundError), match=said):
            AttributesFolder(**given).prepare_data()
    (faces / "faces" / "03.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"table\.csv, line 5, names '03\.png', which is no image"):
        AttributesFolder(faces / "faces", faces / "table.csv", image_size=8).prepare_data()


@pytest.mark.slow
def test_the_avatars_table_works_as_it_is(real_data, tmp_path) -> None:
    import tarfile

    with tarfile.open(real_data / "avatars.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    names = ["glasses", "beard", "hat", "smile", "long_hair"]
    place = tmp_path / "avatars"
    module = AttributesFolder(place / "faces", place / "attributes.csv", attributes=names, image_size=16)
    module.prepare_data()
    module.setup("validate")
    labels = torch.cat([batch.labels for batch in module.val_dataloader()])
    assert labels.shape == (512, 5)
    assert labels.mean(dim=0).sub(0.5).abs().max() < 0.01  # all combinations are equally often
