"""The outside view: the SQL API, the console's JSON API, its document, the console itself.

    sql_api.py          POST and GET /api/sql
    prometheus_api.py   /api/v1/query and the rest of Prometheus's API: prometheus_*.py
    console_api.py      /api/console/*: serves the endpoints that console_*.py define
    endpoint.py         what an endpoint is: path, parameters, answer, and the call behind it
    openapi.py          the document and its page, built from the endpoints
    static_files.py     the built console
    program.py          what the server tells about itself, as interfaces
    answers.py          replies and errors; threads.py: blocking calls beside the event loop

Every answer that is an error has the shape {"error": {"code", "message", "position"?}}; only
Prometheus's API has one of its own. Nothing here knows the store: questions go through `query`,
what the program knows of itself comes through the interfaces of program.py. Read endpoint,
console_logs, console_api.
"""
