"""Where PromQL finds its series: selectors as SQL, rows as samples and histograms.

source.py answers the selectors of a query, catalog.py tells what there is to ask for; both leave
the meaning of matchers to series.py. Read series, then source.
"""
