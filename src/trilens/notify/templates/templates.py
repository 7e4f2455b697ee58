"""Named templates of several files, and texts that may use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from trilens.go_template.errors import TemplateError
from trilens.go_template.execute import Output, Template, TextOutput
from trilens.go_template.parser import Parsed, is_empty
from trilens.go_template.values import Function, Value
from trilens.notify.templates.page import PageOutput

TEXTS_KEPT_MAX: Final = 1000
TemplateFault = TemplateError
Functions = Mapping[str, Function]


class Templates:
    """Over a set of functions. `add` first; then safe for any thread."""

    def __init__(self, functions: Functions) -> None:
        self._functions = dict(functions)
        self._named: dict[str, Parsed] = {}
        self._read: dict[str, Template] = {}

    def add(self, source: str, name: str) -> None:
        """What `source` defines replaces what was defined before. Raises TemplateFault."""
        parsed = Template.of(source, name, self._functions.keys()).parsed
        for defined, nodes in parsed.trees.items():
            if defined not in self._named or not is_empty(nodes):
                self._named[defined] = parsed

    def names(self) -> frozenset[str]:
        return frozenset(self._named)

    def check(self, source: str) -> None:
        """Raises TemplateFault for a text that `text` could not read."""
        self._of(source)

    def text(self, source: str, data: Value, functions: Functions | None = None) -> str:
        """`source` filled with `data`. Raises TemplateFault."""
        return self._written(source, data, functions, TextOutput)

    def html(self, source: str, data: Value, functions: Functions | None = None) -> str:
        """As `text`, with every value escaped for its place in the page."""
        return self._written(source, data, functions, PageOutput)

    def _written(
        self, source: str, data: Value, functions: Functions | None, output: Callable[[], Output]
    ) -> str:
        if not source:
            return ""
        known = {**self._functions, **(functions or {})}
        return _whole(self._of(source).execute(data, known, others=self._named, output=output()))

    def _of(self, source: str) -> Template:
        found = self._read.get(source)
        if found is None:
            found = Template.of(source, "", self._functions.keys())
            if len(self._read) < TEXTS_KEPT_MAX:
                self._read[source] = found
        return found


def _whole(text: str) -> str:
    """What `slice` cut through the middle of a character becomes U+FFFD, as in Go's JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape").decode(errors="replace")
    return text
