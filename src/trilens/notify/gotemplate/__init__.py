"""Go's text/template and html/template, as far as notifications can see them (Go 1.25).

    tree.py       what a template is: nodes, each with its line
    scan.py       text to tokens; parse.py: tokens to nodes
    execute.py    nodes and data to text
    values.py     what data may be, how a value is printed, compared, looked into
    functions.py  Go's own functions and those of Alertmanager
    page.py       what html/template writes for a value, by where in the page it stands
    defaults.py   the templates that every Alertmanager has, in our words

    templates = Templates(functions=FUNCTIONS)
    templates.add(text, "file.tmpl")          # its `define`s; raises TemplateFault
    templates.text("{{ .Status }}", data)     # raises TemplateFault

Data are str, int, float, bool, None, lists, dicts (`KV` has methods) and objects that derive from
`Record`. Not done: complex numbers, calls of function values, templates that html/template would
have to escape inside of <script> and <style> (a value there is refused). Limits: 64 calls deep,
1,000,000 steps and 4,000,000 characters a text.
"""

from trilens.notify.gotemplate.execute import Templates
from trilens.notify.gotemplate.tree import TemplateFault
from trilens.notify.gotemplate.values import KV, GoTime, Record

__all__ = ["KV", "GoTime", "Record", "TemplateFault", "Templates"]
