"""Where PromQL finds its series: selectors as SQL, rows as samples and histograms.

source.py answers the selectors of a query, catalog.py tells what there is to ask for; both leave
the meaning of matchers to series.py. Read series, then source.

What OTLP has sent has other names in PromQL than in the engine: otlp_source.py and otlp_catalog.py
answer for it, and source.py puts both together. Of these read otlp_names, otlp_series, then
otlp_source.
"""
