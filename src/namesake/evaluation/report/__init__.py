"""A finished run folder in, one page for a person out: what ran, what was found, and how far to trust it.

A leaf: it only reads what the stages left, and nothing reads what it writes.
"""

from namesake.evaluation.report.report import render_report, write_report

__all__ = ["render_report", "write_report"]
