"""Strings from outside as text of a page: escaped, and cut to a length that people read."""

import html

LETTERS = 500  # of one text


def visible(value: object) -> str:
    """`value` as one line of visible text: a line break, a control or a lone surrogate of a file's name shows as its escape."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(value))


def plain(value: object) -> str:
    """`visible`, cut to a length that people read."""
    told = str(value)
    return visible(told) if len(told) <= LETTERS else f"{visible(told[:LETTERS])}\N{HORIZONTAL ELLIPSIS}"


def text(value: object) -> str:
    """`plain`, escaped for an element or a quoted attribute."""
    return html.escape(plain(value))
