"""Labels and annotations of an alert: templates over the series that raised it.

    {{ $labels.instance }} of {{ .Labels.job }} is down for {{ $value | humanizeDuration }}

What goes wrong is shown where the text would be, as Prometheus does, and raises no error: an alert
with a poor text is better than none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from trilens.alert.instant_query import Sample
from trilens.alert.template_functions import FUNCTION_NAMES, Surroundings, functions_in, worth
from trilens.go_template.errors import TemplateError
from trilens.go_template.execute import Template
from trilens.go_template.values import GoMap, GoStruct

_DEFINED: Final = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
    "{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
_DATA: Final = (
    "struct { Labels map[string]string; ExternalLabels map[string]string; "
    "ExternalURL string; Value interface {} }"
)


def template_problem(alert: str, text: str) -> str | None:
    """Why a text is no template; None if it is one."""
    try:
        _template(alert, text)
    except TemplateError as error:
        return str(error)
    return None


@lru_cache(maxsize=4096)
def _template(alert: str, text: str) -> Template:
    return Template.of(_DEFINED + text, f"__alert_{alert}", FUNCTION_NAMES)


@dataclass(frozen=True, slots=True)
class Outside:
    """What templates are told of the server: the labels it adds to alerts, and its address."""

    labels: tuple[tuple[str, str], ...] = ()
    url: str = ""


@dataclass(slots=True)
class Expander:
    """The texts of one alert in one evaluation."""

    alert: str
    sample: Sample
    at_ms: int
    outside: Outside
    query: Callable[[str], list[Sample]]

    def expand(self, text: str) -> str:
        if "{{" not in text:
            return text
        surroundings = Surroundings(self.at_ms, self.query, self.outside.url)
        doing = "parsing"
        try:
            template = _template(self.alert, text)
            doing = "executing"
            return template.execute(self._data(), functions_in(surroundings))
        except TemplateError as error:
            return (
                f"<error expanding template: error {doing} template __alert_{self.alert}: {error}>"
            )

    def _data(self) -> GoStruct:
        return GoStruct(
            _DATA,
            {
                "Labels": GoMap(dict(self.sample.labels)),
                "ExternalLabels": GoMap(dict(self.outside.labels)),
                "ExternalURL": self.outside.url,
                "Value": worth(self.sample),
            },
        )
