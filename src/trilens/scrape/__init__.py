"""Scraping: targets out of a prometheus.yml, asked in time, and what they expose as remote write.

Config      scrape_config (what of a prometheus.yml is about scraping), discovery_config, relabel;
            the whole file is read in prometheus_config
Targets     discovery (who finds groups of targets; dns_lookup, ec2 and kubernetes are
            some of them),
            target (what relabelling makes of them), pool (those of one job), scraper (all jobs, on
            an event loop in a thread of its own)
A scrape    fetch (one GET, within its time and its size) -> exposition (bytes to a WriteRequest, in
            machine code) -> report (up and its like) -> `write`, which is given
Told        status: what /api/v1/targets and /api/v1/scrape_pools answer

A target that sends garbage, gigabytes or a byte a second fails its own scrape: the time, the
bytes, the series and the labels of each have limits, and large bodies are read in other threads.
"""
