"""Prometheus's remote read: its messages, and the chunks that samples are sent in.

request.py reads what is asked, samples.py and frames.py write the two forms of an answer;
chunks.py packs samples for the second. present/prometheus_read.py is the endpoint.
"""
