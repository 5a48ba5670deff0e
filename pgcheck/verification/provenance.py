"""What a result rests on, so that others can tell whether theirs is the same: versions, digests, the model."""

import contextlib
import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck import __version__
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.external.sources import digest_of_files, source_digest
from pgcheck.formats import sources
from pgcheck.formats.loading import kind_of
from pgcheck.formats.modelfile import Model
from pgcheck.formats.writing import model_text
from pgcheck.workers.digests import digest_of

MOST_OUTCOMES = 2_000  # of a model that is shown as a file
NOTHING = digest_of_files([])


@dataclass(frozen=True)
class Provenance:
    """What a result rests on.

    Attributes:
      versions: of what computed it, each after its name.
      digests: the first 16 digits of the SHA-256 of each file that is known, after its name; last that of the model
        as understood, whatever it was read from.
      model: the model as a model file; None where it is too large to be shown, or no such file can hold it.
    """

    versions: tuple[tuple[str, str], ...]
    digests: tuple[tuple[str, str], ...]
    model: str | None


def provenance_of(model: Model, source: str, names: Sequence[str]) -> Provenance:
    """Returns what a result rests on.

    Args:
      model: that was used.
      source: what it was read from.
      names: the places of users' functions and programs.
    """
    digests = [(name, source_digest(name)) for name in names if ":" in name]
    if source != "-":
        digests.insert(0, _of_source(source))
    digests = [(name, digest) for name, digest in digests if digest != NOTHING]
    digests.append(("the model as understood", digest_of(model.mdp, model.policy, model.behavior)[:16]))
    return Provenance(
        (("pgcheck", __version__), ("Python", platform.python_version()), ("NumPy", np.__version__)),
        tuple(digests),
        _text_of(model),
    )


def _of_source(source: str) -> tuple[str, str]:
    """The digest of the file that a model was read from; of nothing, where it was none."""
    kind = kind_of(source)
    if kind is None:
        name, data = sources.read_bytes(source)
        return name, hashlib.sha256(data).hexdigest()[:16]
    return source, source_digest(source) if ".py:" in source else digest_of_files([source])


def _text_of(model: Model) -> str | None:
    if len(model.mdp.prob) > MOST_OUTCOMES:
        return None
    with contextlib.suppress(UsageError, TooLargeError):  # the policy is a network
        return model_text(model)
    return None
