"""Names and numbers as a model file takes them: a name in quotes only where YAML needs them."""

import math
import re
from collections.abc import Iterable

MAX_KEY = 1000  # characters of a key before its colon; YAML allows 1024

# What no part of a plain name may be, in brackets or beside them: brackets, commas, `: `, ` #`, spaces at an end.
_FIRST = r"""(?:[^\s\-?:,\[\]{}#&*!|>'"%@`]|-(?=[^\s,\[\]{}?]))"""
_NEXT = r"(?:[^:#,\[\]{}?]|:(?=[^\s,\[\]{}?])|(?<! )#)"
_PLAIN = re.compile(f"{_FIRST}{_NEXT}*(?<! )")
_NOT_SHOWN = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def name_text(name: str) -> str:
    """Returns a name as YAML takes it, in brackets or beside them, as a key or as a value."""
    if _NOT_SHOWN.search(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + _NOT_SHOWN.sub(lambda match: f"\\U{ord(match[0]):08x}", escaped) + '"'
    if _PLAIN.fullmatch(name) and name not in ("<<", "---", "..."):
        return name
    return "'" + name.replace("'", "''") + "'"


def mapping_in_line(entries: Iterable[tuple[str, str]]) -> str:
    """Returns names with the texts of their values, in braces."""
    return f"{{{', '.join(f'{_key(name)} {value}' for name, value in entries)}}}"


def _key(name: str) -> str:
    """A name as a key within braces, with its colon."""
    text = name_text(name)
    return f"{text}:" if len(text) <= MAX_KEY else f"? {text} :"


def key_of_block(name: str, indent: str) -> str:
    """Returns a name as a key of its own line, with its colon and without the end of the line."""
    text = name_text(name)
    return f"{indent}{text}:" if len(text) <= MAX_KEY else f"{indent}? {text}\n{indent}:"


def number_text(value: float) -> str:
    """Returns a number in the fewest digits that read back as the same double."""
    value = float(value)
    if value == math.inf:
        return "inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
