"""The report of a run: one HTML page that needs nothing else, not even a network connection.

gather   what the page says, as plain values: networks, points (the plot), course and shares (the search), words, state
kept     what a page written before already says
page     from these to the text, by the templates, style sheets and scripts beside it

In the page: base (data), choice (axes, pins, filter: kept in the address), network, front, pins, table, search, start.
"""

from results.report.page import write_report

__all__ = ["write_report"]
