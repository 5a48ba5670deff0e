"""Pages that the tests look at, each made once."""

import functools
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import HANG, ROOT

NAMES = (
    "<script>alert(1)</script>", "<script>alert(2)</script>", '"onload=alert(3) x="', "]]>", "&amp;", r"$x$ \frac",
    "🎲 東京", "<img src=x onerror=alert(4)>", "</svg></style><script>alert(5)</script>",
)  # fmt: skip
MODEL, START, QUOTE, CDATA, ENTITY, TEX, EMOJI, IMAGE, CLOSING = NAMES
HOSTILE = f"""
name: '{MODEL}'
horizon: 3
gamma: 0.9
states: ['{START}', '{QUOTE}', '{CDATA}', '{ENTITY}', '{TEX}', '{EMOJI}']
actions: ['{IMAGE}', '{CLOSING}']
start: '{START}'
terminal: ['{EMOJI}']
transitions:
  '{START}':
    '{IMAGE}': {{to: '{QUOTE}', reward: 1}}
    '{CLOSING}': [{{to: '{CDATA}', p: 0.5}}, {{to: '{EMOJI}', p: 0.5, reward: 2}}]
  '{QUOTE}': {{'{IMAGE}': {{to: '{ENTITY}', reward: 1}}, '{CLOSING}': '{TEX}'}}
  '{CDATA}': {{'{IMAGE}': {{to: '{ENTITY}', reward: 1}}, '{CLOSING}': '{TEX}'}}
  '{ENTITY}': {{'{IMAGE}': {{to: '{EMOJI}', reward: 3}}, '{CLOSING}': '{TEX}'}}
  '{TEX}': {{'{IMAGE}': {{to: '{EMOJI}', reward: -1}}, '{CLOSING}': '{TEX}'}}
"""
RAISED = "<script>alert(6)</script> {{ 7 * 7 }} {% raw %}"
FUNCTION = "a<b>&\"'.py:raises"
RAISES = f"def raises(batch):\n    raise ValueError({RAISED!r})\n"


@dataclass(frozen=True)
class Made:
    """What came of `pgcheck report`."""

    html: str
    status: int
    told: str


def report(*arguments: str, folder: str | Path = ROOT, env: dict[str, str] | None = None) -> Made:
    """Runs the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pgcheck", "report", *arguments],
        capture_output=True, text=True, encoding="utf-8", cwd=folder, env=env, timeout=HANG, check=False,
    )  # fmt: skip
    return Made(done.stdout, done.returncode, done.stderr)


def page(*arguments: str, folder: str | Path = ROOT) -> Made:
    """The same, where there has to be a page."""
    made = report(*arguments, folder=folder)
    assert made.html.startswith("<!DOCTYPE html>\n"), made.told
    return made


@functools.cache
def failing() -> Made:
    """The page of a wrong estimator and a right one."""
    wrong, right = "examples/reinforce.py:forgets_the_discount", "examples/reinforce.py:leaves_one_out"
    return page("two_state", "--estimator", f"{wrong},{right}")


@functools.cache
def plain() -> Made:
    """The page of a model alone."""
    return page("bandit")


@functools.cache
def hostile() -> Made:
    """The page of a model and a function with names that would do harm if they were taken for HTML."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "hostile.yaml").write_text(HOSTILE, encoding="utf-8")
        Path(folder, FUNCTION.partition(":")[0]).write_text(RAISES, encoding="utf-8")
        return page("hostile.yaml", "--estimator", f"{FUNCTION},dropped-gamma", folder=folder)
