"""Prometheus's HTTP API about what runs: targets, rules, alerts, Alertmanagers, reloads.

live       where that is: the server's side, as an interface
rules      /rules and /alerts         targets     /targets, /scrape_pools and relabel_steps
calls      all of them as calls       reloading   POST /-/reload
"""
