"""The reference adaptor: sentence-transformers on torch, as published. Exact, slow to start, works for any model.

Cost: about 130 comments of 26 words a second on one core. Not thread-safe (one model, one caller).
"""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from models.counts import counted
from models.encoder import FloatArray
from models.tokens import IntArray
from models.weights import Base, EncoderWeightsError, Float32

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class ReferenceEncoder:
    """A sentence-transformers model with merged weights, one window a call so that nothing is padded."""

    name = "reference"

    def __init__(self, base: Base, tensors: Mapping[str, Float32]) -> None:
        import torch  # noqa: PLC0415 -- two seconds of start-up that only this adaptor needs
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415

        self._torch = torch
        model = SentenceTransformer(str(base.directory), device="cpu", local_files_only=True)
        self._transformer = model[0]
        inner = getattr(self._transformer, "model", None) or self._transformer.auto_model
        own = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in tensors.items()}
        missing, _ = inner.load_state_dict(own, strict=False)
        absent = [k for k in missing if k.endswith("weight")]
        if absent:
            raise EncoderWeightsError(
                f"the encoder {base.name} lacks {counted(len(absent), 'tensor')}, among them {absent[0]}.",
                allowed="a complete sentence-transformers model.",
                next_step="reinstall the encoder.",
            )
        inner.eval()
        self.dim = int(base.config["hidden_size"])

    def encode(self, windows: Sequence[IntArray]) -> list[FloatArray]:
        """Return the token vectors of each window."""
        torch = self._torch
        out: list[FloatArray] = []
        with torch.inference_mode():
            for ids in windows:
                batch = torch.from_numpy(np.ascontiguousarray(ids, dtype=np.int64))[None]
                features = {"input_ids": batch, "attention_mask": torch.ones_like(batch)}
                out.append(self._transformer(features)["token_embeddings"][0].float().numpy())
        return out
