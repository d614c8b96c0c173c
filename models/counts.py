"""Counts in words: the one place that tells "1 comment" from "2 comments"."""


def counted(n: int, one: str, many: str = "", *, spec: str = "") -> str:
    """Return a number with the words after it: "1 comment", "0 comments", "2 comments are".

    Parameters
    ----------
    one, many
        What follows 1, and what follows any other number: `one` with an s if it is left out.
    spec
        How the number is written: "," sets thousands apart, ">5" puts it into a column.
    """
    return f"{n:{spec}} {one if n == 1 else many or one + 's'}"
