"""Go's text/template (Go 1.25), as far as alerts and notifications need it.

    parse(text, name, functions) -> Template        parser.py
    template.execute(data, functions) -> str        execute.py
    humanize.py  times.py  regex_search.py          what Prometheus and Alertmanager both add

Read tree, then execute. Values are Python's: str, int, float, bool and None are Go's string, int,
float64, bool and nil; maps, structures and lists have classes of their own (values.py) that know
their Go type, since templates tell types apart: `eq 1 1.0` is an error there too.
"""
