"""`gan-lightning export CHECKPOINT OUT` and `gan-lightning import FILE OUT`."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gan_lightning.data.files import shown
from gan_lightning.export.files import Maker, Trained, is_export, networks_of, read, refuse_existing
from gan_lightning.export.graphs import FORMATS, OPSET, TOLERANCE, export_graph, graph_of
from gan_lightning.export.hub import push as upload
from gan_lightning.export.loading import folder_of, load_trained
from gan_lightning.export.published import LAYOUTS, LayoutName, read_published
from gan_lightning.export.saving import save
from gan_lightning.inference import Policy, Translator
from gan_lightning.ranges import checked

FormatName = Literal["safetensors", "onnx", "pt2"]


@checked
def export(
    checkpoint: Path,
    out: Path,
    format: FormatName | None = None,
    direction: str | None = None,
    dropout: bool | None = None,
    license: str = "unknown",
    note: str = "",
    push: str | None = None,
    trusted: list[str] | str | None = None,
) -> None:
    """Write what makes the images of a trained model: its averaged networks, and all that they are used with.

    The file is read again and compared with PyTorch on random inputs of several sizes. It appears only if both agree;
    the largest difference is printed. Nothing that exists is replaced.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), a folder that this command
            wrote, or hf://owner/name.
        out: The new folder (safetensors) or file (onnx, pt2).
        format: Safetensors is for this library and needs neither Lightning nor a config; onnx is for onnxruntime and
            others; pt2 is torch.export's, for PyTorch alone. Null: onnx or pt2 by the suffix of OUT, else safetensors.
        direction: Only this direction of a model that translates both ways. Null: all of them in safetensors; a_to_b in
            the other formats, which hold one.
        dropout: False exports a translator without the dropout that its policy keeps on as noise, such as pix2pix's,
            which onnx cannot hold. Null: as the policy says.
        license: Licence of the weights, for the model card (README.md) of a safetensors export, as the Hugging Face Hub
            names it: mit, cc-by-4.0, ...
        note: Sentences for the model card on the training: its command, its duration.
        push: Repository of the Hugging Face Hub, owner/name, to which a safetensors export is uploaded as well.
        trusted: Further packages whose classes the checkpoint may name: my_gan for those of a file my_gan.py.

    Raises:
        FileExistsError: there is something at OUT already.
        ValueError: the checkpoint or the settings do not fit, the model cannot be exported, or the file computes other
            images than PyTorch.
        OSError: a file cannot be read or written, or the upload failed.
    """
    chosen = format or _format_of(out)
    if push is not None and chosen != "safetensors":
        raise ValueError(f"--push uploads safetensors with their model card, and not {chosen}: leave it out")
    trained = load_trained(checkpoint, trusted=trusted or ())
    trained = trained._replace(maker=_chosen(trained, direction, dropout))
    if chosen == "safetensors":
        source = checkpoint if is_export(checkpoint) else folder_of(checkpoint)
        difference = _save(trained, out, trusted or (), license, source, note)
        what = "weights and description"
    else:
        graph, difference = export_graph(trained, out, chosen)
        what = f"{graph.shapes} to images{f', opset {OPSET}' if chosen == 'onnx' else ''}"
    print(f"{trained.name} written to {shown(out)} ({chosen}: {what})")
    if push is not None:
        print(f"uploaded to {upload(out, push)}")
    print(f"largest difference from PyTorch on random inputs: {difference:.1e} (allowed: {TOLERANCE:g})")


@checked
def import_published(file: Path, out: Path, as_: LayoutName | None = None, license: str = "unknown") -> None:
    """Write published weights of another project as an exported folder, which every command takes for a checkpoint.

    Each layer's name is translated by a table; a layer that is missing, left over or of another shape is an error. The
    network's sizes are read off the shapes. The model makes images as the project's own test script does. Nothing that
    exists is replaced, and no code from the file is run.

    Args:
        file: The weights of a generator, as the project saves them (.pth, .pt, .safetensors).
        out: The new folder.
        as_: Layout of the file: cyclegan (pytorch-CycleGAN-and-pix2pix's ResNet), cut
            (contrastive-unpaired-translation's), pix2pix (its U-Net), esrgan (RRDBNet, also BasicSR's and
            Real-ESRGAN's), srresnet (SRGAN-PyTorch's), dcgan (PyTorch's example). Null: it is recognised.
        license: Licence of the weights, for the model card, as the Hugging Face Hub names it: mit, cc-by-4.0, ...

    Raises:
        FileExistsError: there is something at OUT already.
        ValueError: the file holds no generator of that layout.
        OSError: a file cannot be read or written.
    """
    refuse_existing(out)
    trained, layout = read_published(file, as_)
    source = LAYOUTS[layout].source
    _save(trained, out, (), license, None, f"The weights were imported from {source}.")
    (network,) = networks_of(trained.maker).values()
    count = sum(parameter.numel() for parameter in network.parameters())
    print(
        f"{trained.name} written to {shown(out)} ({type(network).__name__}, {count:,} parameters; {layout}: {source})"
    )


def _format_of(out: Path) -> FormatName:
    suffix = out.suffix.removeprefix(".").lower()
    if suffix in FORMATS:
        return suffix  # type: ignore[return-value]
    if suffix == "safetensors":
        raise ValueError(f"{shown(out)} will be a folder of several files: name it without the suffix .safetensors")
    return "safetensors"


def _chosen(trained: Trained, direction: str | None, dropout: bool | None) -> Maker:
    """Return the sampler, or the translator in the direction and with the dropout that are asked for."""
    maker = trained.maker
    if not isinstance(maker, Translator):
        for name, value in (("direction", direction), ("dropout", dropout)):
            if value is not None:
                raise ValueError(
                    f"--{name} is for models that translate images, and not for {trained.name}: leave it out"
                )
        return maker
    networks = maker.networks if direction is None else {direction: maker.network(direction)}
    policy = maker.policy if dropout is None else Policy(dropout, maker.policy.batch_norm)
    return type(maker)(**maker.init_args | {"networks": networks, "policy": policy})


def _save(trained: Trained, out: Path, trusted: Sequence[str], license: str, source: Path | None, note: str) -> float:
    """Write a folder, and return the largest difference of its images; remove it again if it is too large."""
    save(trained.maker, out, trained.model, trained.images_seen, license, source, note)
    try:
        back = read(out, trusted=trusted)
        graphs = [(graph_of(trained, way), graph_of(back, way)) for way in _directions(trained.maker)]
        difference = max(
            one.difference(one.computed(inputs), other.computed(inputs))
            for one, other in graphs
            for inputs in one.examples()
        )
        if not difference <= TOLERANCE:
            raise ValueError(
                f"the export of {trained.name} differs from it by {difference:.1e}, and at most {TOLERANCE:g} is "
                "allowed: it was not kept; report it to the project"
            )
    except BaseException:
        shutil.rmtree(out)
        raise
    return difference


def _directions(maker: Maker) -> tuple[str | None, ...]:
    return maker.directions if isinstance(maker, Translator) else (None,)
