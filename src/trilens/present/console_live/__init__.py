"""The console's view of what runs on the files of Prometheus and Alertmanager.

targets         what is scraped, what is left out, and what relabelling did
notifications   who is told of what: receivers, groups, attempts, routes, and where labels lead

Each is told from memory, from what the server's files hold (prometheus_live.live).
"""
