"""Samples that PromQL asks for again and again, held in the server's memory.

sample_cache    which metrics are held, since when, and what has been loaded since
filling         their rows from the engine
cached_metric   one metric: its series (series_table) and samples (chunks), and answers from them
"""
