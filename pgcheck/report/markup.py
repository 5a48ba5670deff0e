"""Views → HTML, for notebooks and pages: `blocks_html` returns what people read of a view.

Names are escaped here and nowhere else. Nothing is black on white: colours are the page's own, but for those of
verdicts, which read well on dark and on light; a page may set them anew, as `--pgcheck-good` and the like.
"""

import itertools
from collections.abc import Iterable
from html import escape

from pgcheck.formats.problems import visible
from pgcheck.report.view import Block, Column, Filled, Grid, Span, Styled, Tone, Toned

MOST_ROWS = 2_000  # of a table, as on a terminal

# 4.5 : 1 on white and on black alike, which is what WCAG 2 asks for and the most that one colour can have on both.
_COLOURS: dict[Tone, str] = {"good": "#28864c", "bad": "#d0453e", "unsure": "#9c6c00", "dim": "#757575"}


def blocks_html(blocks: Iterable[Block], *, most_rows: int = MOST_ROWS) -> str:
    """Returns some blocks of a view: a paragraph or table for each; empty lines, which only space them, are dropped.

    Args:
      blocks: what to show; like a printer, this goes through the rows of its tables.
      most_rows: of one table; a line below it says that there are more.
    """
    return "".join(_block(block, most_rows) for block in blocks if block != "")


def _block(block: Block, most_rows: int) -> str:
    match block:
        case str():
            return _text(block)
        case Styled():
            return f"<p>{''.join(map(_span, block.spans))}</p>"
        case Filled():
            return f"<p>{_inner(block.text).strip()}</p>"
        case Grid():
            return _table(block, most_rows)


def _text(text: str) -> str:
    """A paragraph; where spaces make columns, in letters of one width."""
    inner = _inner(text).strip("\n")
    if "  " in text:
        return f"<pre>{inner}</pre>"
    return f"<p>{inner.replace(chr(10), '<br>')}</p>"


def _inner(text: str) -> str:
    return "".join(map(_span, text.spans)) if isinstance(text, Toned) else _escaped(text)


def _span(span: Span) -> str:
    if span.tone == "plain":
        return _escaped(span.text)
    colour = f"color:var(--pgcheck-{span.tone},{_COLOURS[span.tone]})"
    element = "span" if span.tone == "dim" else "b"
    return f'<{element} style="{colour}">{_escaped(span.text)}</{element}>'


def _table(grid: Grid, most_rows: int) -> str:
    rows = list(itertools.islice(grid.rows, most_rows + 1))
    head = "".join(_cell(column, column.title, 'th scope="col"') for column in grid.columns)
    body = "".join(
        f"<tr>{''.join(_cell(column, cell) for column, cell in zip(grid.columns, row, strict=True))}</tr>"
        for row in rows[:most_rows]
    )
    more = f"<p>... the first {most_rows:,} rows</p>" if len(rows) > most_rows else ""
    scrolls = '<div style="overflow-x:auto;margin:0.6em 0"><table style="color:inherit">'
    return f"{scrolls}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}"


def _cell(column: Column, text: str, tag: str = "td") -> str:
    """A cell; numbers stand right, and are not broken."""
    side = "right;white-space:nowrap" if column.right else "left"
    return f'<{tag} style="text-align:{side}">{_inner(text)}</{tag.split()[0]}>'


def _escaped(text: str) -> str:
    """Text for an element or an attribute; control characters, which no name may hold, become U+FFFD."""
    return "\n".join(escape(visible(line)) for line in text.split("\n"))
