"""fmt.Sprintf, as far as templates use it: %v %s %q %d %t %f %e %g %x %X %o %b %c %U %T %%."""

from __future__ import annotations

import re
from typing import Any, Final

from trilens.notify.gotemplate.values import kind_of, printed
from trilens.query.promql.literals import quote

_VERB: Final = re.compile(r"%([-+# 0]*)(\*|[0-9]{1,4})?(?:\.(\*|[0-9]{0,4}))?(?:\[([0-9]+)\])?(.)?",
                          re.DOTALL)  # fmt: skip
WIDTH_MAX: Final = 10_000


def sprintf(form: Any, *values: Any) -> str:
    if not isinstance(form, str):
        raise TypeError(f"expected string; found {kind_of(form)}")
    writer = _Writer(list(values))
    text = _VERB.sub(writer.one, form)
    left = values[writer.used :]
    if left:
        extra = ", ".join(f"{kind_of(value)}={printed(value)}" for value in left)
        text += f"%!(EXTRA {extra})"
    return text


class _Writer:
    def __init__(self, values: list[Any]) -> None:
        self._values = values
        self.used = 0

    def one(self, found: re.Match[str]) -> str:
        flags, width_text, precision_text, index, verb = found.groups()
        if verb is None:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        width = self._number(width_text)
        precision = self._number(precision_text)
        if index is not None:
            self.used = int(index) - 1
        if not 0 <= self.used < len(self._values):
            return f"%!{verb}(MISSING)"
        value = self._values[self.used]
        self.used += 1
        text = _verb(verb, value, flags, precision)
        return _padded(text, flags, width, is_number=isinstance(value, int | float))

    def _number(self, text: str | None) -> int | None:
        if text is None:
            return None
        if text != "*":
            return min(int(text or 0), WIDTH_MAX)
        if self.used >= len(self._values) or not isinstance(self._values[self.used], int):
            return None
        self.used += 1
        return min(int(self._values[self.used - 1]), WIDTH_MAX)


def _padded(text: str, flags: str, width: int | None, *, is_number: bool) -> str:
    if width is None or len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    return text.zfill(width) if "0" in flags and is_number else text.rjust(width)


def _verb(verb: str, value: Any, flags: str, precision: int | None) -> str:  # noqa: PLR0911 - one case a verb
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if verb == "T":
        return kind_of(value)
    if verb == "v":
        return quote(value) if isinstance(value, str) and "#" in flags else printed(value)
    if verb == "t" and isinstance(value, bool):
        return printed(value)
    if isinstance(value, str) or verb in "sq":
        return _text_verb(verb, value, precision)
    if verb in "dbox" + "XcU" and is_whole:
        return _whole_verb(verb, value, sign, flags)
    if verb in "eEfFgG" and isinstance(value, float):
        digits = 6 if precision is None and verb not in "gG" else precision
        if digits is None:
            return (sign if value >= 0 else "") + printed(value)
        text = format(value, f"{sign}.{digits}{verb}")
        return text.replace("inf", "Inf").replace("nan", "NaN")
    return f"%!{verb}({kind_of(value)}={printed(value)})"


def _text_verb(verb: str, value: Any, precision: int | None) -> str:
    if isinstance(value, bool | int | float) or value is None:
        if verb == "q" and isinstance(value, int) and not isinstance(value, bool):
            return f"'{chr(value)}'"
        return f"%!{verb}({kind_of(value)}={printed(value)})"
    text = printed(value)
    if precision is not None:
        text = text[:precision]
    if verb == "s":
        return text
    if verb == "q":
        return quote(text)
    if verb in "xX":
        return text.encode().hex() if verb == "x" else text.encode().hex().upper()
    return f"%!{verb}({kind_of(value)}={text})"


def _whole_verb(verb: str, value: int, sign: str, flags: str) -> str:
    if verb == "c":
        return chr(value) if 0 <= value < 0x110000 else "\ufffd"
    if verb == "U":
        return f"U+{value:04X}"
    prefix = "#" if "#" in flags and verb in "xXob" else ""
    return format(value, f"{sign}{prefix}{verb}")
