"""Lines that one thread collects as they come, and another waits for."""

import threading

MOST_WAITING = 2**22  # bytes that nobody has asked for; then the writer has to wait


class Inbox:
    """Takes bytes in pieces, and gives lines.

    Who waits is woken when all lines are there that it waits for, not for each of them.

    Attributes:
      has_ended: whether no more comes.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self._changed = threading.Condition()
        self._pieces: list[bytes] = []
        self._size = 0  # of all pieces
        self._lines = 0  # that have an end
        self._rest = 0  # bytes of the one that has none
        self._wanted, self._most = 0, 0

    def add(self, piece: bytes) -> None:
        """Adds what has come. It waits while there is much that nobody has asked for."""
        with self._changed:
            self._changed.wait_for(lambda: self._size <= MOST_WAITING or self._wanted or self.has_ended)
            end = piece.rfind(b"\n")
            self._pieces.append(piece)
            self._size += len(piece)
            self._lines += piece.count(b"\n")
            self._rest = self._rest + len(piece) if end < 0 else len(piece) - end - 1
            if self._wanted and self._is_enough():
                self._changed.notify_all()

    def end(self) -> None:
        """Says that no more comes."""
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def wait(self, lines: int, most: int) -> None:
        """Waits for so many lines, or the end, or a line without an end that has more than `most` bytes."""
        with self._changed:
            self._wanted, self._most = lines, most
            self._changed.notify_all()  # the thread that adds
            try:
                self._changed.wait_for(self._is_enough)
            finally:
                self._wanted = 0

    def _is_enough(self) -> bool:
        return self._lines >= self._wanted or self.has_ended or self._rest > self._most

    def take(self, lines: int | None = None) -> list[bytes]:
        """Returns the first lines, at most so many, or all, without their ends; they are gone then."""
        with self._changed:
            *whole, rest = b"".join(self._pieces).split(b"\n")
            taken, left = (whole, []) if lines is None else (whole[:lines], whole[lines:])
            self._pieces = [piece for piece in (b"".join(line + b"\n" for line in left), rest) if piece]
            self._size, self._lines = sum(map(len, self._pieces)), len(left)
            self._changed.notify_all()
            return taken

    def beginning(self) -> bytes:
        """Returns the beginning of what waits; empty where nothing does."""
        with self._changed:
            return b"".join(self._pieces[:2])

    @property
    def lines(self) -> int:
        """How many lines wait."""
        return self._lines

    @property
    def rest(self) -> int:
        """How many bytes the line has that has no end yet."""
        return self._rest
