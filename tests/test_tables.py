import pandas as pd

from xraydenoise.tables import markdown


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
