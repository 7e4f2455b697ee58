"""What notifications are written with: Go's templates (go_template), and what Alertmanager adds.

    templates.py  the templates of one configuration, by name; texts over them
    values.py     labels, pairs and lists as templates see them; and as JSON
    functions.py  Alertmanager's functions (0.34)
    page.py       what html/template writes for a value, by where in the page it stands
    defaults.py   the templates that every Alertmanager has, in our words

Not done: complex numbers, calls of function values, templates that html/template would have to
escape inside of <script> and <style> (a value there is refused).
"""

from trilens.notify.templates.templates import TemplateFault, Templates

__all__ = ["TemplateFault", "Templates"]
