"""OTLP's AnyValue in decode/*.sql: a recursive message, for an engine without recursion.

Of logs and metrics; spans come as columns with values that are text already (otlp_columns.py).

A decode file says `{{...}}` where it needs a value of any type; `decode_sql` unrolls it to a
fixed number of levels, so that the files stay as short as the tables they fill:

    {{messages}}      protobuf: AnyValue0.. and KeyValue0..; level 0 keeps lists as raw bytes
    {{level N}}       what follows KeyValue in the name of the message
    {{message N}}     the name of the message of an AnyValue
    {{value N}}       the column type of an AnyValue
    {{pairs N}}       the column type of `repeated KeyValue`
    {{text N e}}      e as text: a string as it is, numbers and booleans plain, bytes in base64,
                      lists as JSON
    {{map N e}}       e, an array of pairs, as Map(String, String); the first of equal keys counts
    {{types N e}}     the types of the values of that map, in its order
    {{include FILE LEVELS}}  another decode file, with LEVELS levels for a `record` and at most
                             OTHER_LEVELS_MAX for the others: planning time doubles with each

    N is `record` (attributes of log records and points, bodies), `detail` (scopes, exemplars)
    or `resource`. In a file that is read directly a `record` is RAW, the bytes of its AnyValue,
    cut apart by string functions: for the scalar types that is a third faster than the engine's
    own reader, but longer to plan. A `detail` has level 0, a `resource` level 1, since lists of
    words are common there (process.command_args).

JSON holds int64 as digits, NaN and the infinities as "nan", "inf" and "-inf", bytes in base64, an
unset value as null. Where the levels end, a file that names a fallback refuses lists by throwIf,
code 395, for which the loader runs the fallback on the same body; a file without one keeps what
lies deeper as the base64 of its protobuf bytes, a JSON string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DECODE_DIRECTORY: Final = Path(__file__).parent / "decode"
RAW: Final = -1
FAST_LEVELS: Final = {"record": RAW, "detail": 0, "resource": 1}
OTHER_LEVELS_MAX: Final = 2
FALLBACK: Final = "-- fallback: "
_MACRO = re.compile(r"\{\{(?P<macro>\w+)(?: (?P<first>[\w.]+))?(?: (?P<second>[\w.]+))?\}\}")
# With input_format_protobuf_oneof_presence a column named like the oneof holds the number of the
# field that was sent, 0 for none: what tells an empty text, a zero and nothing apart. It stays 0
# for a field without a column, so lists have theirs even where they are refused.
_SCALARS: Final = (
    "value Int8, string_value String, bool_value Bool, int_value Int64, double_value Float64, "
    "bytes_value String"
)
_STRING, _BOOL, _INT, _DOUBLE, _ARRAY, _BYTES = 1, 2, 3, 4, 5, 7
_TYPE_NAMES: Final = (
    r"Enum8(\'\' = 0, \'string\' = 1, \'bool\' = 2, \'int\' = 3, \'double\' = 4, "
    r"\'array\' = 5, \'kvlist\' = 6, \'bytes\' = 7)"
)


# The bytes of an AnyValue are a tag, 8 * field number + wire type, and a value. Each branch but the
# last asks that the whole is one field, so that what is unusual goes to the fallback.
#   string  0x0A length bytes; a length of 2 bytes is the second of these branches
#   int     0x18 varint, of which all bytes but the last have their high bit: what count() keeps
#           its state in, so that the engine's own reader can be had
#   bool    0x10 0 or 1        double  0x21 and 8 bytes
_RAW_TEXT: Final = """if(
    reinterpretAsUInt16($) = 256 * length($) - 502, substring($, 3), multiIf(
    startsWith($, '\\x18') AND length($) <= 11 AND
        bitAnd(reinterpretAsUInt64(substring($, 2)), 0x8080808080808080) =
        bitAnd(0x8080808080808080, bitShiftRight(
            0x8080808080808080, toUInt8(least(63, greatest(0, 80 - 8 * length($)))))),
    toString(reinterpretAsInt64(
        finalizeAggregation(CAST(substring($, 2), 'AggregateFunction(count)')))),
    startsWith($, '\\n') AND length($) > 130 AND bitAnd(reinterpretAsUInt32($), 0xFFFFFF) =
        32778 + 256 * bitAnd(length($) - 3, 127) + 65536 * bitShiftRight(length($) - 3, 7),
    substring($, 4),
    $ = '\\x10\\x01', 'true',
    $ = '\\x10\\0', 'false',
    startsWith($, '!') AND length($) = 9, toString(reinterpretAsFloat64(substring($, 2))),
    $ = '', '',
    toString(throwIf($ != '', 'a value that is not one plain scalar'))))"""


def decode_sql(name: str) -> str:
    """The text of decode/<name> with every macro replaced."""
    text = _read(name)
    return _rendered(text, _Unrolled(FAST_LEVELS, refuses_deeper=FALLBACK in text))


def _read(name: str) -> str:
    return (DECODE_DIRECTORY / name).read_text(encoding="utf-8")


def _rendered(text: str, unrolled: _Unrolled) -> str:
    def replaced(match: re.Match[str]) -> str:
        macro, first, second = match["macro"], match["first"] or "", match["second"] or ""
        if macro == "include":
            lesser = min(int(second), OTHER_LEVELS_MAX)
            levels = {"record": int(second), "detail": lesser, "resource": lesser}
            body = _read(first).partition("\nINSERT ")
            inner = _Unrolled(levels, refuses_deeper=unrolled.refuses_deeper)
            return _rendered("INSERT " + body[2], inner)
        if macro == "messages":
            return unrolled.messages()
        if macro in _TYPES:
            return _TYPES[macro](unrolled, unrolled.levels_of[first])
        return _EXPRESSIONS[macro](unrolled, second, unrolled.levels_of[first])

    return _MACRO.sub(replaced, text)


@dataclass(frozen=True, slots=True)
class _Unrolled:
    """SQL and protobuf text for values of so many levels."""

    levels_of: dict[str, int]
    refuses_deeper: bool

    def messages(self) -> str:
        raw = "message KeyValueRaw { string key = 1; bytes value = 2; }\n"
        levels = range(max(self.levels_of.values()) + 1)
        return raw + "\n".join(_message(level) for level in levels)

    def level(self, levels: int) -> str:
        return "Raw" if levels == RAW else str(levels)

    def message(self, levels: int) -> str:
        return "bytes" if levels == RAW else f"AnyValue{levels}"

    def value(self, levels: int) -> str:
        if levels == RAW:
            return "String"
        if levels == 0:
            return f"Tuple({_SCALARS}, array_value String, kvlist_value String)"
        array = f"array_value Tuple(values Array({self.value(levels - 1)}))"
        return f"Tuple({_SCALARS}, {array}, kvlist_value Tuple(values {self.pairs(levels - 1)}))"

    def pairs(self, levels: int) -> str:
        return f"Array(Tuple(key String, value {self.value(levels)}))"

    def text(self, of: str, levels: int) -> str:
        if levels == RAW:
            return _RAW_TEXT.replace("$", of)
        return (
            f"multiIf({of}.value = {_STRING}, {of}.string_value, "
            f"{of}.value = {_INT}, toString({of}.int_value), "
            f"{of}.value = {_BOOL}, toString({of}.bool_value), "
            f"{of}.value = {_DOUBLE}, toString({of}.double_value), "
            f"{of}.value = {_BYTES}, base64Encode({of}.bytes_value), "
            f"{of}.value = 0, '', {self._list(of, levels)})"
        )

    def map(self, of: str, levels: int) -> str:
        pairs = f"arrayMap(pair -> (pair.key, {self.text('pair.value', levels)}), {_unique(of)})"
        return f"CAST({pairs}, 'Map(LowCardinality(String), String)')"

    def types(self, of: str, levels: int) -> str:
        numbers = f"{_unique(of)}.value.value"
        if levels == RAW:
            numbers = f"arrayMap(v -> bitShiftRight(reinterpretAsUInt8(v), 3), {_unique(of)}.value)"
        return f"CAST({numbers}, 'Array({_TYPE_NAMES})')"

    def _list(self, of: str, levels: int) -> str:
        """JSON of an array or a list of pairs; one of the two is empty."""
        if levels == 0 and self.refuses_deeper:
            return f"toString(throwIf({of}.value != 0, 'a list too deep for this statement'))"
        if levels == 0:
            return f"toJSONString(base64Encode(concat({of}.array_value, {of}.kvlist_value)))"
        item = f"item{levels}"
        items = (
            f"arrayConcat(arrayMap(v -> ('', v), {of}.array_value.values), "
            f"arrayMap(p -> (concat(toJSONString(p.key), ':'), p.value), "
            f"{of}.kvlist_value.values))"
        )
        text = f"concat({item}.1, {self._json(f'{item}.2', levels - 1)})"
        joined = f"arrayStringConcat(arrayMap({item} -> {text}, {items}), ',')"
        is_array = f"{of}.value = {_ARRAY}"
        return f"concat(if({is_array}, '[', '{{'), {joined}, if({is_array}, ']', '}}'))"

    def _json(self, of: str, levels: int) -> str:
        return (
            f"multiIf({of}.value = {_STRING}, toJSONString({of}.string_value), "
            f"{of}.value = {_INT}, toString({of}.int_value), "
            f"{of}.value = {_BOOL}, toString({of}.bool_value), "
            f"{of}.value = {_DOUBLE}, toJSONString({of}.double_value), "
            f"{of}.value = {_BYTES}, toJSONString(base64Encode({of}.bytes_value)), "
            f"{of}.value = 0, 'null', {self._list(of, levels)})"
        )


def _message(level: int) -> str:
    below = level - 1
    lists = (
        f"message Array{level} {{ repeated AnyValue{below} values = 1; }} "
        f"message Pairs{level} {{ repeated KeyValue{below} values = 1; }} "
    )
    array, pairs = (f"Array{level}", f"Pairs{level}") if level else ("bytes", "bytes")
    return (
        f"{lists if level else ''}message AnyValue{level} {{ oneof value {{ "
        "string string_value = 1; bool bool_value = 2; int64 int_value = 3; "
        f"double double_value = 4; {array} array_value = 5; {pairs} kvlist_value = 6; "
        "bytes bytes_value = 7; } } "
        f"message KeyValue{level} {{ string key = 1; AnyValue{level} value = 2; }}"
    )


def _unique(of: str) -> str:
    return f"arrayFilter((pair, nth) -> nth = 1, {of}, arrayEnumerateUniq({of}.key))"


_TYPES: Final[dict[str, Callable[[_Unrolled, int], str]]] = {
    "level": _Unrolled.level,
    "message": _Unrolled.message,
    "value": _Unrolled.value,
    "pairs": _Unrolled.pairs,
}
_EXPRESSIONS: Final[dict[str, Callable[[_Unrolled, str, int], str]]] = {
    "text": _Unrolled.text,
    "map": _Unrolled.map,
    "types": _Unrolled.types,
}
