"""Print a report for people: one block per check, within the width of the terminal."""

from __future__ import annotations

import textwrap

from sensorium.serving.doctor.check import Check, Report, Status

__all__ = ["render"]

NAME_WIDTH, STATUS_WIDTH = 14, 8
COLOURS = {Status.OK: "32", Status.NOTE: "33", Status.BROKEN: "31;1"}


def render(report: Report, *, width: int = 80, colour: bool = False) -> str:
    """The report as text of at most `width` columns, ending in whether this can serve."""
    head = f"Sensorium {report.sensorium}, Python {report.python}, {report.system}"
    blocks = [head, "", *(_block(check, width, colour) for check in report.checks), ""]
    if report.can_serve:
        blocks.append("This installation can serve:\n    sensorium serve")
    elif report.remedy:
        blocks.append(f"This installation cannot serve yet. Mend it with:\n    {report.remedy}")
    else:
        blocks.append("This installation cannot serve here; see what is broken above.")
    return "\n".join(blocks)


def _block(check: Check, width: int, colour: bool) -> str:
    indent = NAME_WIDTH + STATUS_WIDTH
    text = check.text
    if check.remedy and check.status is Status.NOTE:
        text += f": {check.remedy}"
    lines = textwrap.wrap(text, max(20, width - indent), break_on_hyphens=False) or [""]
    status = f"{check.status.value:<{STATUS_WIDTH}}"
    if colour:
        status = f"\x1b[{COLOURS[check.status]}m{status}\x1b[0m"
    first = f"{check.name:<{NAME_WIDTH}}{status}{lines[0]}"
    return "\n".join([first, *(" " * indent + line for line in lines[1:])])
