"""HTML that is put into a page as it is, told apart from text, which the template escapes."""


class Html(str):
    """HTML that was made here, with all names in it escaped: what `markup` and the pictures return."""

    __slots__ = ()

    def __html__(self) -> str:
        """Returns itself: jinja2 takes no text as it is but what has this method."""
        return str(self)
