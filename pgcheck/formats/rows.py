"""YAML text as nodes, where a long table of plain rows, `- [left, move, right, 0.8, 1]`, takes a shorter way.

A table of a million rows has millions of words, and YAML's parser takes microseconds for each. Where many lines in
succession are plain rows, one word stands for all of them while the rest of the text is parsed. If it comes back as
an item of a list, at its place, the rows are what YAML would have made of them: each is a list of plain words in a
line of its own. If it does not, as in a quoted text, or if anything is at fault, all of the text is parsed.
"""

import re
from dataclasses import dataclass

from pgcheck.errors import ModelError
from pgcheck.formats import nodes
from pgcheck.formats.nodes import MAX_NODES, MAX_SHARED_WORDS, Mapping, Node, Scalar, Sequence

MANY = 1000  # rows, from which on they are taken together

# A plain word that means the same wherever it stands in a list, and a line that is a row of them.
_WORD = r"-?[\w.+/][\w.+/-]*"
_ROW = re.compile(rf"( *)- \[( *{_WORD}(?:, *{_WORD})*) *\] *\n", re.ASCII)
_BEGIN = re.compile(r"^ *- \[", re.MULTILINE)


@dataclass(frozen=True)
class Rows:
    """Rows in succession.

    Attributes:
      column: at which each row's bracket stands, from 1.
      texts: what is between the brackets of each.
    """

    column: int
    texts: list[str]

    def nodes(self, line: int) -> list[Node]:
        """Returns the node of each row, where the first stands in this line."""
        shared: dict[str, str] = {}
        made: list[Node] = []
        for number, text in enumerate(self.texts, line):
            words: list[Node] = []
            begin = self.column + 1
            for part in text.split(","):
                word = part.strip(" ")
                word = shared.setdefault(word, word) if len(shared) < MAX_SHARED_WORDS else word
                words.append(Scalar(word, number, begin + len(part) - len(part.lstrip(" "))))
                begin += len(part) + 1
            made.append(Sequence(words, number, self.column))
        return made


def parse(text: str, file: str) -> Node:
    """Returns the one document in `text` as nodes; the errors are those of `nodes.parse`."""
    short, tables = _without_rows(text)
    root = _parsed(short, file, tables) if tables else None
    return nodes.parse(text, file) if root is None else root


def _without_rows(text: str) -> tuple[str, dict[str, Rows]]:
    """The text with one word for each long run of rows, on as many lines; and the rows of each word."""
    found: dict[str, Rows] = {}
    kept: list[str] = []
    stem, done = "rows", 0
    position = _BEGIN.search(text)
    while position is not None:
        begin = end = position.start()
        column = position.end() - begin
        texts: list[str] = []
        while (row := _ROW.match(text, end)) and len(row[1]) + 3 == column:
            texts.append(row[2])
            end = row.end()
        if len(texts) >= MANY:
            while not found and stem in text:
                stem += "s"
            word = f"{stem}{len(found)}"
            found[word] = Rows(column, texts)
            kept += [text[done:begin], " " * (column - 3), f"- {word}", "\n" * len(texts)]
            done = end
        position = _BEGIN.search(text, max(end, position.end()))
    return "".join([*kept, text[done:]]), found


def _parsed(short: str, file: str, tables: dict[str, Rows]) -> Node | None:
    """The nodes of a text in which words stand for tables; None where they are not what they stand for."""
    try:
        root = nodes.parse(short, file)
    except ModelError:
        return None
    left, count, open_ = dict(tables), 0, [root]
    while open_:
        node = open_.pop()
        count += 1
        if isinstance(node, Scalar):
            continue
        open_ += node.items
        if isinstance(node, Mapping):
            continue
        for place in range(len(node.items) - 1, -1, -1):
            word = node.items[place]
            if not isinstance(word, Scalar) or word.text not in left:
                continue
            rows = left.pop(word.text)
            if word.quoted or word.column != rows.column:
                return None
            node.items[place : place + 1] = rows.nodes(word.line)
            count += sum(2 + text.count(",") for text in rows.texts)
    return None if left or count > MAX_NODES else root
