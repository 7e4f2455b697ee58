"""Histograms in PromQL: native ones as values, classic ones by their buckets."""
