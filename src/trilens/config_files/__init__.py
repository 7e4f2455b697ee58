"""Configuration files of others, read as strictly as they read them, with places.

    problems      what is wrong with a file: where, and in which words; all of it at once
    yaml_nodes    YAML to a tree that knows its lines and columns, within limits
    section       one mapping of it: every key is asked for by its kind, or is a problem
    http_config   how requests are made: credentials, TLS, proxies, headers, as all files have it
    aws_config    as whom AWS is asked

prometheus.yml, rule files, their unit tests and alertmanager.yml are all read through these. What
a file asks for and is not done here is a problem too: nothing is ignored.
"""
