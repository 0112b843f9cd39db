"""Exported models on the Hugging Face Hub, through the package huggingface_hub.

The environment variable HF_ENDPOINT names another server, and HF_TOKEN or `hf auth login` gives the right to write, as
for every program of that package.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from gan_lightning.errors import one_line
from gan_lightning.export.files import CARD, is_export
from gan_lightning.weights import CONFIG, WEIGHTS

ADDRESS = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")  # a pathlib.Path has one slash of two


def push(folder: str | Path, repository: str, private: bool = False, message: str = "Upload the model") -> str:
    """Upload an exported folder, with its model card, to a repository, which is made if it is not there.

    Args:
        folder: a folder that `save` wrote.
        repository: "owner/name".
        private: only its owner may see a new repository.
        message: message of the commit.

    Returns:
        The address from which `gan_lightning.load` loads it: "hf://owner/name".

    Raises:
        ValueError: the folder is not an export, or `repository` no such name.
        ConnectionError: the upload failed.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    if not is_export(folder) or not Path(folder).is_dir():
        raise ValueError(f"{folder} is not a folder that `gan-lightning export` wrote: export the model first")
    if ADDRESS.fullmatch(f"hf://{repository}") is None:
        raise ValueError(f"{repository!r} is not the name of a repository: write owner/name")
    with _talking(f"{folder} could not be uploaded to {repository}"):
        from huggingface_hub import HfApi  # noqa: PLC0415

        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="gan_lightning")
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    return f"hf://{repository}"


def fetch(address: str, card: bool = False) -> Path:
    """Download an exported model into the cache of huggingface_hub, if it is not there yet, and return its folder.

    Args:
        address: "hf://owner/name", or "hf://owner/name@revision" for a branch, tag or commit.
        card: with its model card, if there is one.

    Raises:
        ValueError: it is not such an address.
        ConnectionError: it cannot be downloaded, or holds no exported model.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(f"{address!r} is not the address of a model: write hf://owner/name")
    with _talking(f"hf://{found[1]} could not be downloaded"):
        from huggingface_hub import snapshot_download  # noqa: PLC0415

        folder = snapshot_download(
            found[1],
            revision=found[2],
            allow_patterns=[WEIGHTS, CONFIG, *([CARD] if card else [])],
            endpoint=os.environ.get("HF_ENDPOINT"),
            library_name="gan_lightning",
        )
    return Path(folder)


@contextmanager
def _talking(failure: str) -> Iterator[None]:
    """Turn an error within into one sentence that begins so.

    Raises:
        ConnectionError: an error of the server or of the network.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    if find_spec("huggingface_hub") is None:
        raise ModuleNotFoundError("hf:// needs the package huggingface_hub: pip install 'gan_lightning[hub]'")
    try:
        yield
    except Exception as error:  # of the server, of the network, of the package's cache
        reason = one_line(str(error).strip().partition("\n")[0])[:300] or type(error).__name__
        raise ConnectionError(f"{failure} ({reason}): check name, network and token (HF_TOKEN)") from error
