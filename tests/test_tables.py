import pandas as pd
import pytest
from markdown_it import MarkdownIt

from xraydenoise.tables import markdown, text

HOSTILE = [
    "a | b",
    "a \\\\| b",
    "ends with \\\\",
    "two\nlines\r\n\n# heading",
    "`code` and ``more``",
    "*em* **strong** _em_ __strong__ ~~gone~~",
    "[link](http://example.invalid)",
    "[link][1] [1]",
    "![pixel](http://example.invalid/x.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "<http://example.invalid> &lt;b&gt; &#33; &copy;",
    "=cmd|' /C calc'!A0",
    "right\u202eto left\u2066",
    "zero\u200bwidth\x00\x1b[31mred",
    "- item",
    "1. item",
    "> quote",
    "--- ",
]


def shown(source: str) -> list[str]:
    """The kinds of tokens that a Markdown reader makes of `source`, beside those of a table and of text."""
    known = {"table", "thead", "tbody", "tr", "th", "td", "inline", "text"}
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(source)
    kinds = [token.type for token in tokens] + [child.type for token in tokens for child in token.children or []]
    return [kind for kind in kinds if kind.removesuffix("_open").removesuffix("_close") not in known]


def cells(source: str) -> list[str]:
    """The text of each cell as a reader shows it."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(source)
    return ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]


def test_a_frame_becomes_a_markdown_table_whose_cells_stay_whole():
    frame = pd.DataFrame({"split": ["val", "test"], "images": [2, 10], "licence": ["MIT", "CC BY 4.0 | attribution"]}, index=[7, 8])
    assert markdown(frame).splitlines() == [
        "| split | images | licence |",
        "| --- | --- | --- |",
        "| val | 2 | MIT |",
        r"| test | 10 | CC BY 4.0 \| attribution |",
    ]


def test_a_frame_with_no_row_becomes_its_head():
    assert markdown(pd.DataFrame({"split": [], "images": []})) == "| split | images |\n| --- | --- |"


def test_names_numbers_and_addresses_of_pages_stay_as_they_are():
    for plain in ("gaussian_10", "+2.00 [+1.50, +2.50]", "models:/x@champion", "https://example.org/a_b-c?d=e", "CC-BY-4.0", "-inf"):
        assert text(plain) == plain


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_shown_and_is_no_markup(value):
    table = markdown(pd.DataFrame({value: [value, "x"], "other": ["y", value]}))
    assert shown(table) == []
    visible = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in value).strip()
    assert cells(table) == [visible, "other", visible, "y", "x", visible]
    assert shown(f"# Title {text(value)}\n\n- {text('x' + value)}\n") == [
        "heading_open",
        "heading_close",
        "bullet_list_open",
        "list_item_open",
        "paragraph_open",
        "paragraph_close",
        "list_item_close",
        "bullet_list_close",
    ]
