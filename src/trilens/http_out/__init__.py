"""What every request to others has from its http_config: TLS, proxies, credentials.

Targets, discoverers and Alertmanagers are asked from event loops, receivers of notifications from
threads: what both need is here, once. config_files/http_config.py reads the file's side of it.
"""
