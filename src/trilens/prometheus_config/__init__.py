"""A prometheus.yml as a whole.

    file         everything that it says, or every problem of it with its place
    alerting     which Alertmanagers are told, how they are found, what of alerts they see
    remote_write who is sent samples, which of them, and how

What is about scraping is read in scrape/scrape_config.py, rule files in alert/rule_files.py.
"""
