"""Alertmanager's API v2 over trilens.notify: api.py has the routes, rows.py the JSON."""
