"""What every request to others has from its http_config: TLS, proxies, credentials.

Targets, discoverers and Alertmanagers are asked from event loops, receivers of notifications from
threads: what both need is here, once. config_files/http_config.py reads the file's side of it.

    client.py, authorization.py   requests of event loops; pieces.py, what is answered
    door.py                       one request of a thread, in a bounded time
    aws.py                        credentials of AWS, and requests signed with them
"""
