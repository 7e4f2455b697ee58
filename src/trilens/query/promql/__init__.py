"""PromQL: text -> tree -> numbers (Prometheus 3.14)."""
