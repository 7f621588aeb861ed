"""The report of a run: one HTML page that needs nothing else, not even a network connection.

gather   what the page says, as plain values
page     from these to the text, by the templates, style sheets and scripts beside it
"""

from results.report.page import write_report

__all__ = ["write_report"]
