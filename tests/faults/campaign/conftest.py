"""The campaign of faults: each test puts many faults of one kind into real runs, and tells how many ended well."""

import collections
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
Tried = Callable[[str, bool], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("campaign")


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Tried:
    """tried(kind of fault, ended well): one trial; `make test-all` prints a table of them."""

    def tried(kind: str, well: bool) -> None:
        record_property("tried", [kind, well])

    return tried


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    trials: collections.Counter[str] = collections.Counter()
    survived: collections.Counter[str] = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == "tried":
                    trials[value[0]] += 1
                    survived[value[0]] += value[1]
    if trials:
        terminalreporter.write_line("\n| fault | tried | survived |\n|---|---:|---:|")
        for kind in sorted(trials):
            terminalreporter.write_line(f"| {kind} | {trials[kind]} | {survived[kind]} |")
