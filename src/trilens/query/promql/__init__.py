"""PromQL: text to a tree and back (Prometheus 3.14). Read ast, then parser."""
