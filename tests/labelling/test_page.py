import math

import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.labelling import audit, measures, page

LIMITS = audit.Limits(shift=0.03, detail=1.0, survival=(0.5, 1.5))


@pytest.fixture
def table(tmp_path):
    """Three labels as the stage keeps them: one good, one that sharpened, one with no place for a lesion."""
    found = {
        "a-0": (0, measures.Findings(0.5, 0.51, 0.01, 0.6, 0.8)),
        "a-11": (11, measures.Findings(0.5, 0.5, 0.0, 1.4, 1.1)),
        "a-2": (2, measures.Findings(0.5, 0.49, -0.01, 0.8, math.nan)),
    }
    rows = []
    for image, (preset, findings) in found.items():
        judged = audit.judge(findings, LIMITS)
        facts = {"vetoed": judged[0].severity > 1, "reason": audit.reason(judged), "severity": judged[0].severity}
        rows.append({"image": image, "preset": preset} | facts | findings._asdict())
    contracts.write(pd.DataFrame(rows), tmp_path / "audit.csv", audit.Audit)
    return contracts.read(tmp_path / "audit.csv", audit.Audit)


def test_the_page_says_what_the_label_is_what_the_truth_is_and_what_each_limit_is(table):
    told = page.readable(table, LIMITS, "worst.png")
    for part in ("enhance_i(Real-ESRGAN(plain))", "truth beside the label", "beyond 0.03", "above 1.", "outside 0.5 to 1.5", "worst.png"):
        assert part in told
    assert "1 of 3 labels (33.3%) were vetoed" in told
    assert "no such place: 1 of 3" in told


def test_presets_are_listed_by_number(table):
    lines = page.readable(table, LIMITS, "worst.png").split("## Vetoes and means by preset")[1].splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:5]
    assert rows == ["0", "2", "11"]


@pytest.mark.parametrize(
    ("heading", "first"), [("Brightness moved most", "a-0"), ("Most fine detail", "a-11"), ("Lesion changed most", "a-0")]
)
def test_the_label_with_most_of_a_measure_is_listed_first(table, heading, first):
    rows = [line for line in page.readable(table, LIMITS, "worst.png").split(f"## {heading}")[1].splitlines() if line.startswith("|")]
    assert first in rows[2]
