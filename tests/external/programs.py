"""Programs that tests write to files: REINFORCE as a program, and what is done with each batch."""

import shlex
import sys
from pathlib import Path

# The gradient of an episode as a table, from what the header says; `answer` makes a line of many.
GRADIENT = """
import json, os, sys, time

def table(header, episode, undiscounted=False):
    gamma, probs = header["gamma"], header["probs"]
    rows = [[0.0] * header["num_actions"] for _ in range(header["num_states"])]
    to_go = 0.0
    for t in reversed(range(len(episode["actions"]))):
        to_go = episode["rewards"][t] + gamma * to_go
        s = episode["states"][t]
        for b in range(header["num_actions"]):
            score = (b == episode["actions"][t]) - probs[s][b]
            rows[s][b] += (1 if undiscounted else gamma**t) * to_go * score
    return rows

def flat(header, rows):
    return [x for row, probs in zip(rows, header["probs"]) for x, pi in zip(row, probs) if pi > 0]

def answer(header, message, undiscounted=False):
    return [flat(header, table(header, episode, undiscounted)) for episode in message["episodes"]]
"""

# What is done with each batch stands in the place of BODY; it sees `header`, `message` and `count`, that of batches.
LOOP = """
count = 0
for line in sys.stdin:
    message = json.loads(line)
    if "pgcheck" in message:
        header = message
        continue
    count += 1
    BODY
"""

RIGHT = "print(json.dumps(answer(header, message)), flush=True)"
UNDISCOUNTED = "print(json.dumps(answer(header, message, True)), flush=True)"

# The header is read once, then batches alone are expected.
ONCE = """
header = json.loads(input())
for line in sys.stdin:
    print(json.dumps(answer(header, json.loads(line), UNDISCOUNTED)), flush=True)
"""


def program(folder: Path, source: str, *arguments: str) -> str:
    """Writes a program in Python, and returns the estimator that it is."""
    path = folder / "mine.py"
    path.write_text(GRADIENT + source)
    return "cmd:" + shlex.join([sys.executable, "-ES", str(path), *arguments])


def answering(folder: Path, body: str, *arguments: str) -> str:
    """Writes a program that does this with each batch, and returns the estimator that it is."""
    return program(folder, LOOP.replace("BODY", body), *arguments)
