"""Strings, characters and numbers as Go writes them."""

from __future__ import annotations

import re
from typing import Final

_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\",
    '"': '"', "'": "'",
}  # fmt: skip
_ESCAPE: Final = re.compile(
    r"\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_SHOWN: Final = {code: f"\\{letter}" for letter, code in _SIMPLE.items() if code != "'"}
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEX_FLOAT: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")
_INTEGER: Final = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)")
_INT_MAX: Final = 2**63 - 1


def unquoted(token: str) -> str:
    """What a string between its marks means. ValueError for an escape that is none."""
    body = token[1:-1]
    if token[0] == "`":
        return body.replace("\r", "")
    if "\\" not in body:
        return body
    parts: list[bytes] = []
    end = 0
    for found in _ESCAPE.finditer(body):
        parts += (body[end : found.start()].encode("utf-8", "surrogateescape"), _escaped(found))
        end = found.end()
    parts.append(body[end:].encode("utf-8", "surrogateescape"))
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _escaped(found: re.Match[str]) -> bytes:
    octal, byte, short, long, letter = found.groups()
    if letter is not None:
        if letter not in _SIMPLE or letter == "'":
            raise ValueError("invalid syntax")
        return _SIMPLE[letter].encode()
    if octal is not None or byte is not None:
        code = int(byte, 16) if octal is None else int(octal, 8)
        if code > 0xFF:
            raise ValueError("invalid syntax")
        return bytes((code,))
    code = int(short or long, 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError("invalid syntax")
    return chr(code).encode()


def quoted(text: str, *, is_ascii: bool = False) -> str:
    """%q, or %+q."""
    shown = "".join(map(_shown, text))
    if is_ascii:
        shown = "".join(one if one.isascii() else _escape(ord(one)) for one in shown)
    return f'"{shown}"'


def _shown(character: str) -> str:
    if character in _SHOWN:
        return _SHOWN[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return _escape(code)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def number_value(token: str) -> int | float | complex:
    """An int if it is written as one, a character being its code. ValueError in Go's words."""
    if token[0] == "'":
        return _character(token)
    if token.endswith("i"):
        real, imaginary = _split(token[:-1])
        return complex(float(_real(real, token)) if real else 0.0, float(_real(imaginary, token)))
    return _real(token, token)


def _split(token: str) -> tuple[str, str]:
    """`1+2` of 1+2i; the sign of an exponent parts nothing."""
    inner = max(
        (at for at in range(1, len(token)) if token[at] in "+-" and token[at - 1] not in "eEpP"),
        default=0,
    )
    return token[:inner], token[inner:]


def _character(token: str) -> int:
    body = token[1:-1]
    found = body[-1] if body in {"\\'", '"'} else unquoted(f'"{body}"')
    if len(found) != 1:
        raise ValueError(f"malformed character constant: {token}")
    return ord(found)


def _real(token: str, shown: str) -> int | float:
    bare = token.replace("_", "")
    if _INTEGER.fullmatch(bare):
        digits = bare.lstrip("+-")
        if digits[:1] == "0" and digits[1:2].isdigit():
            digits = f"0o{digits[1:]}"
        value = int(digits, 0)
        value = -value if bare[0] == "-" else value
        if not -_INT_MAX - 1 <= value <= _INT_MAX:
            raise ValueError(f"integer overflow: {quoted(shown)}")
        return value
    if _DECIMAL.fullmatch(bare):
        if bare.lstrip("+-").isdigit():
            raise ValueError(f"integer overflow: {quoted(shown)}")
        return float(bare)
    if _HEX_FLOAT.fullmatch(bare):
        return float.fromhex(bare)
    raise ValueError(f"illegal number syntax: {quoted(shown)}")
