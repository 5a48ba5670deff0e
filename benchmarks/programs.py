"""Speed of programs that are spoken to in JSON lines: episodes a second, alone and with all in one line."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import pgcheck
from pgcheck.external.program import Program
from pgcheck.trajectories.paths import listed

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "programs" / "reinforce.c"
REPEATS = 5

# Answers at once: it looks for nothing but how many episodes a line has.
AT_ONCE = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

int main(void) {
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    if (strstr(line, "\"pgcheck\":")) continue;
    const char *separator = "[";
    for (char *at = line; (at = strstr(at, "\"states\":")); at++, separator = ", ")
      printf("%s[0.25, -0.25, 0.125, -0.125]", separator);
    printf("]\n");
    fflush(stdout);
  }
}
"""


def programs() -> None:
    """Two programs in C on the episodes of `two_state`: one that answers at once, and REINFORCE."""
    if shutil.which("cc") is None:
        print("programs: needs cc")
        return
    batch, _ = listed(*pgcheck.load("two_state", horizon=14), most=50_000)
    steps = float(batch.lengths.mean())
    with tempfile.TemporaryDirectory() as folder:
        at_once = Path(folder, "at_once.c")
        at_once.write_text(AT_ONCE)
        for name, source in (("that answers at once", at_once), ("with REINFORCE", EXAMPLE)):
            program = Path(folder, "program")
            subprocess.run(["cc", "-O2", "-o", program, source], check=True)
            with Program(f"cmd:{program}") as estimator:
                alone, together = [], []
                for _ in range(REPEATS):
                    since = time.perf_counter()
                    estimator.of_batches(batch, np.arange(len(batch))[:, None])
                    alone.append(len(batch) / (time.perf_counter() - since))
                    since = time.perf_counter()
                    estimator(batch)
                    together.append(len(batch) / (time.perf_counter() - since))
            print(f"a program {name}, {len(batch):,} episodes of {steps:.1f} steps:")
            print(f"  a line each {np.median(alone):,.0f} a second, wanted at least 20,000")
            print(f"  in one line {np.median(together):,.0f} a second")
