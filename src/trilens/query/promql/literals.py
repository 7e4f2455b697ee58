r"""Strings and numbers as PromQL writes them, which is as Go does.

Go's strings are bytes: "\xff" is one byte that is no UTF-8. Here such a byte is a lone surrogate
(surrogateescape), and `quote` prints it as the byte it was.
"""

from __future__ import annotations

import math
import re

_SIMPLE_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_QUOTED = {code: f"\\{letter}" for letter, code in _SIMPLE_ESCAPES.items() if code != "'"}
_BYTE_SURROGATES = range(0xDC80, 0xDD00)
_SURROGATES = range(0xD800, 0xE000)
_CODE_POINT_MAX = 0x10FFFF
_PLAIN_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OCTAL = re.compile(r"0[0-7_]*")
_INTEGER = re.compile(r"[1-9][0-9_]*")
_INT64_MAX = 2**63 - 1


def unquote(token: str) -> str:
    """The text of a string in quotes, whose escapes are well-formed (the lexer has seen to it).

    ValueError if an escape stands for no character.
    """
    body = token[1:-1]
    if token[0] == "`" or "\\" not in body:
        return body
    parts: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(body):
        parts += (_encode(body[end : match.start()]), _escaped(match))
        end = match.end()
    parts.append(_encode(body[end:]))
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _escaped(match: re.Match[str]) -> bytes:
    octal, byte, short, long, letter = match.groups()
    if letter is not None:
        return _SIMPLE_ESCAPES[letter].encode()
    if byte is not None or octal is not None:
        code = int(byte, 16) if octal is None else int(octal, 8)
        if code > 0xFF:
            raise ValueError("escape sequence is an invalid Unicode code point")
        return bytes([code])
    code = int(short or long, 16)
    if code > _CODE_POINT_MAX or code in _SURROGATES:
        raise ValueError("escape sequence is an invalid Unicode code point")
    return chr(code).encode()


def quote(text: str) -> str:
    """Text between double quotes with Go's escapes: what Prometheus prints for %q."""
    return f'"{"".join(map(_quoted, text))}"' if _needs_escapes(text) else f'"{text}"'


def quote_character(character: str) -> str:
    """One character between single quotes; nothing stands for the end of input."""
    if not character:
        return "'\ufffd'"
    if character == '"':
        return "'\"'"
    return "'\\''" if character == "'" else f"'{_quoted(character)}'"


def _needs_escapes(text: str) -> bool:
    return not text.isprintable() or '"' in text or "\\" in text


def _quoted(character: str) -> str:
    if character in _QUOTED:
        return _QUOTED[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code in _BYTE_SURROGATES:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if code in _SURROGATES:
        return "\ufffd"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def is_plain_label(name: str) -> bool:
    """It may stand without quotes wherever a label may."""
    return _PLAIN_LABEL.fullmatch(name) is not None


def is_label_name(name: str) -> bool:
    """UTF-8 and not empty."""
    return bool(name) and not any(ord(character) in _SURROGATES for character in name)


def parse_number(token: str) -> float:
    """A number the lexer found: ValueError with Prometheus's text if it is too large.

    A leading 0 makes it octal if it can be, as in Go.
    """
    if token[0].isalpha():
        return math.nan if token.lower() == "nan" else math.inf
    digits = token.replace("_", "")
    integer = _integer(token, digits)
    if integer is not None and integer <= _INT64_MAX:
        return float(integer)
    if digits[:2].lower() == "0x":
        raise ValueError(_refused(token, "invalid syntax"))
    value = float(digits)
    if math.isinf(value):
        raise ValueError(_refused(token, "value out of range"))
    return value


def _integer(token: str, digits: str) -> int | None:
    if digits[:2].lower() == "0x":
        return int(digits, 16)
    if len(digits) <= len(str(_INT64_MAX)) + 3:
        if _OCTAL.fullmatch(token):
            return int(digits, 8)
        if _INTEGER.fullmatch(token):
            return int(digits)
    return None


def _refused(token: str, why: str) -> str:
    return f'error parsing number: strconv.ParseFloat: parsing "{token}": {why}'


def print_number(value: float) -> str:
    """Without an exponent, as short as reads back equal: Go's format 'f'."""
    if not math.isfinite(value):
        return _print_special(value)
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa.removesuffix(".0")
    return _shifted(mantissa.removesuffix(".0"), int(exponent))


def print_general(value: float) -> str:
    """With an exponent from 1e+21 on and below 1e-4: Go's %v."""
    if not math.isfinite(value):
        return _print_special(value)
    if value == 0 or 1e-4 <= abs(value) < 1e21:
        return print_number(value)
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent}"


def print_fixed(value: float, digits: int) -> str:
    """With so many digits behind the point: Go's %f."""
    return f"{value:.{digits}f}" if math.isfinite(value) else _print_special(value)


def _print_special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def _shifted(mantissa: str, exponent: int) -> str:
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    digits = whole + fraction
    point = len(whole) + exponent
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits.ljust(point, '0')}"
    return f"{sign}{digits[:point]}.{digits[point:]}"
