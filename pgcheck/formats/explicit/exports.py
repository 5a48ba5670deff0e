"""Models of PRISM and Storm that are not read, and how to export what is."""

from pathlib import Path

from pgcheck.errors import UsageError
from pgcheck.formats.problems import visible

# What it is; the options with which PRISM and Storm read it.
_LANGUAGE = ("the PRISM language", "", "--prism ")
_OTHERS: dict[str, tuple[str, str | None, str | None]] = {
    ".prism": _LANGUAGE, ".nm": _LANGUAGE, ".pm": _LANGUAGE, ".sm": _LANGUAGE,
    ".jani": ("JANI", None, "--jani "),
    ".umb": ("UMB", "-importmodel ", "--explicit-umb "),
    ".pexp": ("PRISM's combined format", "-importmodel ", None),
}  # fmt: skip


def expect_explicit(spec: str) -> None:
    """Raises UsageError where a source is a model of PRISM or Storm that is not explicit, with the commands."""
    path = Path(spec)
    if path.suffix.lower() not in _OTHERS:
        return
    what, of_prism, of_storm = _OTHERS[path.suffix.lower()]
    file, stem = visible(path.name), visible(path.stem)
    lines = [f"{visible(spec)}: {what} is not read; export an explicit model, .tra or .drn:"]
    if of_prism is not None:
        exports = f"-exportlabels {stem}.lab -exportstates {stem}.sta -exportrewards {stem}.srew {stem}.trew"
        lines.append(f"  prism {of_prism}{file} -exporttrans {stem}.tra {exports}")
    if of_storm is not None:
        lines.append(f"  storm {of_storm}{file} --buildfull --buildchoicelab --exportbuild {stem}.drn")
    raise UsageError("\n".join(lines))
