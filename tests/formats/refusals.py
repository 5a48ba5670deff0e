"""What a model file, or a text, is refused with."""

from pathlib import Path

import pytest

from pgcheck import ModelError, UsageError
from pgcheck.formats.loading import load
from pgcheck.formats.modelfile import loads

MODELS = Path(__file__).resolve().parent / "models"
SMALL = "horizon: 1\nstates: [a]\nactions: [go]\nstart: a\ntransitions: {a: {go: a}}\n"


def refusal(source: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        load(source)
    return str(caught.value)


def refusal_of(text: str) -> str:
    with pytest.raises(ModelError) as caught:
        loads(text, "m.yaml")
    return str(caught.value)


def usage(source: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(source)
    return str(caught.value)
