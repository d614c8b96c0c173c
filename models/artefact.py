"""Model folders: arrays and JSON, a manifest with a digest for each file, everything checked before it is parsed.

Reading is split in two. `audit` looks at every file and builds nothing; `read_artefact` then parses the very bytes
that were checked. There is no format here that could carry code.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from models.calibration import Calibration
from models.codebook import codebook_from_document, codebook_to_document
from models.lexical import N_BUCKETS
from models.trained_on import Marks
from models.vocabulary import Codebook, ModelId, ThemesError
from models.weight_changes import CHANGE_GROUP, Change

FORMAT: Final = 3
_READABLE: Final = (2, FORMAT)
"""Format 2 keeps a row of lexical weights for every bucket, also for the empty ones."""
MANIFEST: Final = "manifest.json"
REQUIRED: Final = ("calibration.json", "card.json", "card.md", "codebook.json", "tagger.safetensors")
MARKS: Final = "trained_on.safetensors"
"""Where residents' comments were learnt from."""
MAX_FILE_BYTES: Final = 50_000_000
MAX_FILES: Final = 16
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
_CHANGE: Final = ("rows", "codes", "steps")
STARTER: Final = Path(__file__).parent / "starter"

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]
Int8 = NDArray[np.int8]


class ArtefactError(ThemesError):
    """A model folder is not one, or is not as it was written."""

    code = "model_invalid"


@dataclass(frozen=True, slots=True)
class Tagger:
    """The arrays of a trained classifier, K themes in the codebook's order of codable themes.

    `adapters` by module: A (rank, in), B (out, rank), float16. `head` (K, dim) and `head_bias` (K,) float32.
    `lexical` (N_BUCKETS, K) int8 in units of `lexical_step` (K,) float32, with `idf` (N_BUCKETS,) float32; without rows where
    no lexical part was fitted. `smoothing` by `{layer}.{place}`: float32, one for each input column. `changes` by the
    encoder's tensor, where the encoder was fine-tuned in full instead of given adapters.
    """

    adapters: Mapping[str, tuple[Float16, Float16]]
    head: Float32
    head_bias: Float32
    lexical: Int8
    lexical_step: Float32
    idf: Float32
    smoothing: Mapping[str, Float32]
    changes: Mapping[str, Change]

    @property
    def lexical_weights(self) -> Float32:
        """Return the lexical weights themselves, shape (N_BUCKETS, K) or without rows."""
        return np.asarray(self.lexical * self.lexical_step, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Artefact:
    """All of a model folder."""

    name: str
    version: str
    encoder: str
    encoder_digests: Mapping[str, str]
    codebook: Codebook
    tagger: Tagger
    calibration: Calibration
    review_margin: float
    """Log-odds around a threshold within which the quick encoder's word is not taken; see `models.classifier`."""
    card: Mapping[str, Any]
    card_text: str
    model_id: ModelId | None = None
    """Set by reading: the id is that of the folder as it lies."""
    trained_on: Marks | None = None
    """See `models.trained_on`; keyed with the card's `data_sha256`. None: nobody's words, or a model that is older than marks."""


def audit(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in a model folder, each found to be as the manifest says.

    Raises
    ------
    ArtefactError
        If the folder or a file is missing, something else lies there, a size or a digest differs, or the manifest
        itself was changed (its own digest covers the rest).
    """
    manifest = _manifest(_bytes(folder / MANIFEST))
    listed: dict[str, Any] = manifest["files"]
    present = {p.name for p in folder.iterdir()} - {MANIFEST}
    if present != set(listed):
        odd = min(present ^ set(listed))
        raise _broken(f"{odd} is {'not listed in the manifest' if odd in present else 'missing'}.")
    content: dict[str, bytes] = {}
    for name, entry in listed.items():
        data = _bytes(folder / name)
        if len(data) != entry["bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise _broken(f"{name} is not the file that the manifest describes.")
        content[name] = data
    content[MANIFEST] = _bytes(folder / MANIFEST)
    if _manifest(content[MANIFEST]) != manifest:
        raise _broken("the manifest changed while it was read.")
    return content


def read_artefact(folder: Path) -> Artefact:
    """Return the checked content of a model folder.

    Raises
    ------
    ArtefactError
        As `audit`, or if a file's content does not fit the others.
    """
    content = audit(folder)
    manifest = _manifest(content[MANIFEST])
    try:
        codebook = codebook_from_document(json.loads(content["codebook.json"]))
        n_themes = len(codebook.codable)
        calibration = Calibration.from_document(json.loads(content["calibration.json"]), n_themes)
        tagger = _tagger(load_safetensors(content["tagger.safetensors"]), n_themes)
        card = _card(content["card.json"], is_marked=MARKS in content)
        return Artefact(
            name=str(manifest["name"]),
            version=str(manifest["version"]),
            encoder=str(manifest["encoder"]["name"]),
            encoder_digests=dict(manifest["encoder"]["sha256"]),
            codebook=codebook,
            tagger=tagger,
            calibration=calibration,
            review_margin=float(manifest["review_margin"]),
            card=card,
            card_text=content["card.md"].decode("utf-8"),
            model_id=model_id_of(manifest),
            trained_on=_marks(load_safetensors(content[MARKS])) if MARKS in content else None,
        )
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise _broken(f"its files do not fit together ({type(error).__name__}).") from error


def model_id_of(manifest: Mapping[str, Any]) -> ModelId:
    """Return `name-version+digest`, the digest being the first eight characters of the manifest's own."""
    return ModelId(f"{manifest['name']}-{manifest['version']}+{manifest['digest'][:8]}")


def write_artefact(folder: Path, artefact: Artefact) -> ModelId:
    """Write a model folder beside its place and move it there whole, replacing an older one; return its id."""
    t = artefact.tagger
    arrays: dict[str, NDArray[Any]] = {
        "head": t.head, "head_bias": t.head_bias, "lexical": t.lexical, "lexical_step": t.lexical_step, "idf": t.idf,
    }  # fmt: skip
    if t.lexical.size:
        used = t.lexical.any(axis=1)
        arrays |= {"lexical": t.lexical[used], "lexical_used": np.packbits(used)}
    for module, (a, b) in t.adapters.items():
        arrays[f"adapter.a:{module}"], arrays[f"adapter.b:{module}"] = a, b
    for tensor, change in t.changes.items():
        arrays |= {f"change.{part}:{tensor}": getattr(change, part) for part in _CHANGE}
    for key, divisor in t.smoothing.items():
        arrays[f"smoothing:{key}"] = divisor
    files: dict[str, bytes] = {
        "calibration.json": _json(artefact.calibration.to_document()),
        "card.json": _json(artefact.card),
        "card.md": artefact.card_text.encode("utf-8"),
        "codebook.json": _json(codebook_to_document(artefact.codebook)),
        "tagger.safetensors": save_safetensors({k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())}),
    }
    if artefact.trained_on is not None:
        files[MARKS] = save_safetensors({"marks": artefact.trained_on})
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": artefact.name,
        "version": artefact.version,
        "codebook": artefact.codebook.ref,
        "encoder": {"name": artefact.encoder, "sha256": dict(artefact.encoder_digests)},
        "review_margin": artefact.review_margin,
        "files": {n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in sorted(files.items())},
    }
    manifest["digest"] = _digest(manifest)
    files[MANIFEST] = _json(manifest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, data in files.items():
            (aside / name).write_bytes(data)
        aside.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(old / "was")
            aside.rename(folder)
            shutil.rmtree(old)
        else:
            aside.rename(folder)
    finally:
        if aside.exists():
            shutil.rmtree(aside)
    return model_id_of(manifest)


def _tagger(arrays: Mapping[str, NDArray[Any]], n_themes: int) -> Tagger:
    names = ("head", "head_bias", "lexical", "lexical_step", "idf")
    head, bias, lexical, step, idf = (arrays[k] for k in names)
    if "lexical_used" in arrays:
        lexical = _with_empty_rows(lexical, arrays["lexical_used"])
    buckets = N_BUCKETS if lexical.size else 0
    if head.ndim != 2 or head.shape[0] != n_themes or bias.shape != (n_themes,):  # noqa: PLR2004
        raise ValueError("the head does not have a row for each theme")
    if idf.shape != (buckets,) or (buckets and lexical.shape != (buckets, n_themes)):
        raise ValueError("the lexical weights do not have a column for each theme")
    if lexical.dtype != np.int8 or step.shape != (n_themes,):
        raise ValueError("the lexical weights do not have a step for each theme")
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise ValueError("an array holds a number that is not finite")
    modules = sorted(k.removeprefix("adapter.a:") for k in arrays if k.startswith("adapter.a:"))
    adapters = {m: (arrays[f"adapter.a:{m}"], arrays[f"adapter.b:{m}"]) for m in modules}
    tensors = sorted(k.removeprefix("change.rows:") for k in arrays if k.startswith("change.rows:"))
    changes = {t: _change(*(arrays[f"change.{part}:{t}"] for part in _CHANGE)) for t in tensors}
    smoothing = {k.removeprefix("smoothing:"): v for k, v in sorted(arrays.items()) if k.startswith("smoothing:")}
    return Tagger(
        adapters,
        head.astype(np.float32),
        bias.astype(np.float32),
        lexical,
        step.astype(np.float32),
        idf.astype(np.float32),
        smoothing,
        changes,
    )


def _with_empty_rows(lexical: NDArray[Any], packed: NDArray[Any]) -> NDArray[Any]:
    """Return a row for each bucket, of the rows that are kept, one for each bit that is set."""
    if packed.dtype != np.uint8 or packed.shape != (N_BUCKETS // 8,) or lexical.ndim != 2:  # noqa: PLR2004
        raise ValueError("the lexical weights do not say which buckets they belong to")
    used = np.unpackbits(packed).astype(np.bool_)
    if len(lexical) != used.sum():
        raise ValueError("the lexical weights do not have a row for each bucket in use")
    whole = np.zeros((N_BUCKETS, lexical.shape[1]), lexical.dtype)
    whole[used] = lexical
    return whole


def _card(data: bytes, *, is_marked: bool) -> dict[str, Any]:
    """Return the card; where there are marks, it must hold what they are keyed with, or nobody could look for a respondent."""
    card = json.loads(data)
    if not isinstance(card, dict):
        raise _broken("card.json is no object.")
    key = card.get("data_sha256")
    if is_marked and not (isinstance(key, str) and _KEY.fullmatch(key)):
        raise _broken(f"{MARKS} is there, and card.json has no `data_sha256` of 64 hexadecimal digits.")
    return card


def _marks(arrays: Mapping[str, NDArray[Any]]) -> Marks:
    marks = arrays["marks"]
    if marks.ndim != 1 or marks.dtype != np.uint64:
        raise ValueError("the marks of what was learnt from are no list of numbers")
    return marks


def _change(rows: NDArray[Any], codes: NDArray[Any], steps: NDArray[Any]) -> Change:
    n = len(rows)
    if rows.ndim != 1 or codes.ndim != 2 or steps.shape != (n, 2 * codes.shape[1] // CHANGE_GROUP):  # noqa: PLR2004
        raise ValueError("a change does not have a step for each group of columns")
    if codes.shape[0] != n or 2 * codes.shape[1] % CHANGE_GROUP or codes.dtype != np.uint8:
        raise ValueError("a change does not have codes for each row")
    return Change(rows.astype(np.int32), codes, steps.astype(np.float16))


def _manifest(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        files = manifest["files"]
        ok = (
            manifest["format"] in _READABLE
            and manifest["digest"] == _digest({k: v for k, v in manifest.items() if k != "digest"})
            and set(REQUIRED) <= set(files)
            and len(files) <= MAX_FILES
            and all("/" not in n and n not in (".", "..") for n in files)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken("its manifest cannot be read.") from error
    if not ok:
        raise _broken("its manifest was changed or is of another format.")
    return dict(manifest)


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_json(manifest)).hexdigest()


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode("utf-8")


def _bytes(path: Path) -> bytes:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
            raise _broken(f"{path.name} is a link or larger than {MAX_FILE_BYTES} bytes.")
        return path.read_bytes()
    except OSError as error:
        raise _broken(f"{path.name} cannot be read ({error.strerror}).") from error


def _broken(found: str) -> ArtefactError:
    return ArtefactError(
        found,
        allowed="a model folder as `themes train` wrote it, unchanged.",
        next_step="copy the folder anew, or train again; `themes model verify FOLDER` checks it.",
    )
