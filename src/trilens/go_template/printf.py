"""Go's fmt.Sprintf over the values that templates have."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from trilens.go_template.errors import CHARACTERS_MAX, TooLarge
from trilens.go_template.literals import quoted
from trilens.go_template.values import (
    GoList,
    GoMap,
    GoStruct,
    Missing,
    Value,
    placed,
    shortest,
    type_of,
    verb_v,
)

WIDTH_MAX: Final = 10_000  # Go takes up to a million
_DIRECTIVE: Final = re.compile(
    r"%(?P<flags>[ +\-#0]*)(?:\[(?P<width_arg>\d+)\](?=\*))?(?P<width>\d+|\*)?"
    r"(?P<dot>\.(?:\[(?P<precision_arg>\d+)\](?=\*))?(?P<precision>\d+|\*)?)?"
    r"(?:\[(?P<arg>[^\]]*)\])?(?P<verb>.)?",
    re.DOTALL,
)


def sprint(values: tuple[Value, ...]) -> str:
    """Spaces between values of which neither is a string."""
    parts: list[str] = []
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            parts.append(" ")
        parts.append(verb_v(value))
    return "".join(parts)


def sprintln(values: tuple[Value, ...]) -> str:
    return " ".join(map(verb_v, values)) + "\n"


def sprintf(pattern: str, values: tuple[Value, ...]) -> str:
    return _Printer(values).run(pattern)


@dataclass(slots=True)
class _Directive:
    flags: str
    width: int | None
    precision: int | None
    verb: str


@dataclass(slots=True)
class _Printer:
    values: tuple[Value, ...]
    at: int = 0
    reordered: bool = False

    def run(self, pattern: str) -> str:
        parts: list[str] = []
        end, size = 0, len(pattern)
        for found in _DIRECTIVE.finditer(pattern):
            parts += (pattern[end : found.start()], self._directive(found))
            end = found.end()
            size += len(parts[-1])
            if size > CHARACTERS_MAX:
                raise TooLarge(f"texts of more than {CHARACTERS_MAX} characters")
        parts.append(pattern[end:])
        if not self.reordered and self.at < len(self.values):
            extra = ", ".join(_typed(value) for value in self.values[self.at :])
            parts.append(f"%!(EXTRA {extra})")
        return "".join(parts)

    def _directive(self, found: re.Match[str]) -> str:
        flags = found["flags"]
        width, trouble = self._size(found["width"], found["width_arg"], "WIDTH")
        if width is not None and width < 0:
            flags, width = f"{flags}-", -width
        precision = None
        if found["dot"]:
            precision, more = self._size(found["precision"] or "0", found["precision_arg"], "PREC")
            trouble += more
            precision = None if precision is not None and precision < 0 else precision
        verb = found["verb"]
        if verb is None:
            return trouble + "%!(NOVERB)"
        if verb == "%":
            return trouble + "%"
        if verb == "v":
            flags = flags.replace("+", "")
        is_bad = found["arg"] is not None and not self._jump(found["arg"])
        if is_bad:
            return f"{trouble}%!{verb}(BADINDEX)"
        if self.at >= len(self.values):
            return f"{trouble}%!{verb}(MISSING)"
        value = self.values[self.at]
        self.at += 1
        return trouble + formatted(_Directive(flags, width, precision, verb), value)

    def _jump(self, number: str) -> bool:
        self.reordered = True
        if not number.isdigit() or not 1 <= int(number[:9]) <= len(self.values):
            return False
        self.at = int(number) - 1
        return True

    def _size(self, said: str | None, jump: str | None, what: str) -> tuple[int | None, str]:
        if said is None:
            return None, ""
        if said != "*":
            return min(int(said), WIDTH_MAX), ""
        if jump is not None:
            self._jump(jump)
        value = self.values[self.at] if self.at < len(self.values) else None
        self.at += self.at < len(self.values)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1_000_000:
            return None, f"%!(BAD{what})"
        return max(min(value, WIDTH_MAX), -WIDTH_MAX), ""


def _typed(value: Value) -> str:
    return "<nil>" if value is None else f"{type_of(value)}={verb_v(value)}"


def formatted(directive: _Directive, value: Value) -> str:  # noqa: C901, PLR0911 - one for each kind
    verb = directive.verb
    if verb == "T":
        return _padded(directive, type_of(value))
    if value is None or isinstance(value, Missing):
        return _padded(directive, "<nil>") if verb == "v" else f"%!{verb}(<nil>)"
    match value:
        case bool():
            return _padded(directive, verb_v(value)) if verb in "tv" else _bad(directive, value)
        case str():
            return _string(directive, value)
        case int():
            return _integer(directive, value)
        case float():
            return _float(directive, value)
        case GoList():
            return f"[{' '.join(formatted(directive, item) for item in value.items)}]"
        case GoMap():
            return _map(directive, value)
        case GoStruct() if value.text is not None and verb in "vsxXq":
            return _string(directive, value.text)
        case GoStruct():
            fields = (formatted(directive, one) for one in value.fields.values())
            return f"{{{' '.join(fields)}}}"
    return _padded(directive, verb_v(value)) if verb == "v" else _bad(directive, value)


def _map(directive: _Directive, value: GoMap) -> str:
    pairs = (
        f"{formatted(directive, key)}:{formatted(directive, one)}"
        for key, one in sorted(value.entries.items())
    )
    return f"map[{' '.join(pairs)}]"


def _bad(directive: _Directive, value: Value) -> str:
    """The value as %v with the same flags: whoever wrote the pattern sees what came."""
    if value is None:
        return f"%!{directive.verb}(<nil>)"
    plain = replace(directive, verb="v", flags=directive.flags.replace("#", ""))
    return f"%!{directive.verb}({type_of(value)}={formatted(plain, value)})"


def _string(directive: _Directive, value: str) -> str:
    verb, precision = directive.verb, directive.precision
    if precision is not None and verb in "svq":
        value = value[:precision]
    if verb in "sv":
        is_quoted = verb == "v" and "#" in directive.flags
        return _padded(directive, quoted(value) if is_quoted else value)
    if verb == "q":
        if "#" in directive.flags and "`" not in value and value.isprintable():
            return _padded(directive, f"`{value}`")
        return _padded(directive, quoted(value, is_ascii="+" in directive.flags))
    if verb in "xX":
        data = value.encode("utf-8", "surrogateescape")[:precision]
        text = data.hex(" ") if " " in directive.flags else data.hex()
        return _padded(directive, text.upper() if verb == "X" else text)
    return _bad(directive, value)


def _integer(directive: _Directive, value: int) -> str:
    verb = directive.verb
    if verb in "dv":
        return _signed(replace(directive, verb="d"), str(abs(value)), value < 0)
    if verb in "boxXO":
        digits = format(abs(value), {"O": "o"}.get(verb, verb))
        prefix = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(verb, "")
        shown = f"{prefix}{digits}" if "#" in directive.flags else digits
        return _signed(directive, f"0o{digits}" if verb == "O" else shown, value < 0)
    if verb == "c":
        return _padded(directive, _character(value))
    if verb == "q":
        shown = quoted(_character(value), is_ascii="+" in directive.flags)[1:-1]
        return _padded(directive, {"'": "'\\''", '\\"': "'\"'"}.get(shown, f"'{shown}'"))
    if verb == "U":
        shown = f" '{_character(value)}'" if "#" in directive.flags else ""
        return _padded(directive, f"U+{value:04X}{shown}")
    return _bad(directive, value)


def _character(code: int) -> str:
    is_one = 0 <= code <= 0x10FFFF and not 0xD800 <= code < 0xE000
    return chr(code) if is_one else "\ufffd"


def _float(directive: _Directive, value: float) -> str:
    verb = directive.verb
    if verb not in "veEfFgGxX":
        return _bad(directive, value)
    if not math.isfinite(value):
        text = "NaN" if math.isnan(value) else "Inf"
        plus = "+" in directive.flags or (verb == "v" and text == "Inf" and value > 0)
        sign = "-" if value < 0 else "+" if plus or (text == "Inf" and verb in "eEfFgG") else ""
        quiet = _Directive(directive.flags.replace("0", ""), directive.width, None, verb)
        return _padded(quiet, sign + text)
    is_negative = math.copysign(1, value) < 0
    return _signed(directive, float_digits(verb, directive.precision, abs(value)), is_negative)


def float_digits(verb: str, precision: int | None, value: float) -> str:
    """Of a number that is finite and not negative; precision None is the verb's own."""
    if verb in "xX":
        return _hexadecimal(value) if verb == "x" else _hexadecimal(value).upper()
    if verb in "fF":
        return f"{Decimal(value):.{6 if precision is None else precision}f}"
    if verb in "eE":
        text = _exponential(value, 6 if precision is None else precision)
    elif precision is None:
        text = shortest(value)
    else:
        text = general(value, precision)
    return text.upper() if verb in "EG" else text


def general(value: float, precision: int) -> str:
    """%.<precision>g of a number that is not negative."""
    precision = max(precision, 1)
    if value == 0:
        return "0"
    rounded = Context(prec=precision, rounding=ROUND_HALF_EVEN).create_decimal(Decimal(value))
    _, digits_of, exponent_of = rounded.as_tuple()
    digits = "".join(map(str, digits_of))
    point = len(digits) + int(exponent_of)
    return placed(digits.rstrip("0") or "0", point, precision)


def _hexadecimal(value: float) -> str:
    """0x1.8p+00"""
    mantissa, _, exponent = value.hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{exponent[0]}{exponent[1:].rjust(2, '0')}"


def _exponential(value: float, precision: int) -> str:
    mantissa, _, exponent = f"{Decimal(value):.{precision}e}".partition("e")
    number = int(exponent) if value else 0
    return f"{mantissa}e{'-' if number < 0 else '+'}{abs(number):02}"


def _signed(directive: _Directive, digits: str, is_negative: bool) -> str:
    flags = directive.flags
    sign = "-" if is_negative else "+" if "+" in flags else " " if " " in flags else ""
    width = directive.width or 0
    if directive.verb in "dboxXO" and directive.precision is not None:
        digits = digits.rjust(directive.precision, "0")
    elif "0" in flags and "-" not in flags:
        digits = digits.rjust(width - len(sign), "0")
    return _padded(_Directive(flags.replace("0", ""), width, None, ""), sign + digits)


def _padded(directive: _Directive, text: str) -> str:
    width = directive.width or 0
    if "-" in directive.flags:
        return text.ljust(width)
    return text.rjust(width, "0" if "0" in directive.flags else " ")
