"""OTLP/JSON re-framed to OTLP protobuf, without loss.

The protobuf JSON mapping as OTLP 1.9 narrows it: trace and span ids are hex in any case (other
bytes are base64), enums are integers only, names are lowerCamelCase only, unknown names are
ignored, 64-bit integers come as text or numbers, NaN and the infinities as text, null is
"not set". Everything else that is not what its field wants is refused.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import EncodeError, Message

from trilens.errors import Refused

# A kvlist costs three levels of protobuf, whose parsers stop at 100.
VALUE_DEPTH_MAX: Final = 30
# Each becomes a Python object of up to 240 bytes.
CONTAINERS_MAX: Final = 1_000_000
_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_FLOAT_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

M = TypeVar("M", bound=Message)
Reader = Callable[[Any], Any]


def reframed(message_class: type[M], text: bytes) -> M:
    """The request in JSON `text` as its protobuf message. Raises Refused."""
    if text.count(b"{") + text.count(b"[") > CONTAINERS_MAX:
        raise Refused("too_large", f"more than {CONTAINERS_MAX} objects and arrays")
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused("malformed", f"the body is not JSON: {error}") from None
    message = message_class()
    _fill(message, document, path="request", depth=0)
    try:
        message.SerializeToString()
    except EncodeError:
        raise Refused("malformed", "nested too deep") from None
    return message


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a JSON name goes: the field, its group of alternatives, how one value is read."""

    name: str
    oneof: str | None
    is_list: bool
    is_message: bool
    read: Reader


def _fill(message: Message, document: Any, *, path: str, depth: int) -> None:
    if not isinstance(document, dict):
        raise Refused("malformed", f"{path} is not an object")
    slots = _slots(message.DESCRIPTOR)
    if message.DESCRIPTOR.name == "AnyValue":
        depth += 1
        if depth > VALUE_DEPTH_MAX:
            raise Refused("malformed", f"{path[:80]}... is nested deeper than {VALUE_DEPTH_MAX}")
    seen = set()
    for name, value in document.items():
        slot = slots.get(name)
        if slot is None or value is None:
            continue
        if slot.oneof is not None:
            if slot.oneof in seen:
                raise Refused("malformed", f"{path} has more than one {slot.oneof}")
            seen.add(slot.oneof)
        _set(message, slot, value, path=f"{path}.{name}", depth=depth)


def _set(message: Message, slot: _Slot, value: Any, *, path: str, depth: int) -> None:
    if slot.is_list:
        if not isinstance(value, list):
            raise Refused("malformed", f"{path} is not an array")
        items = getattr(message, slot.name)
        for item in value:
            if slot.is_message:
                _fill(items.add(), item, path=path, depth=depth)
            else:
                items.append(_read(slot, item, path))
    elif slot.is_message:
        part = getattr(message, slot.name)
        part.SetInParent()
        _fill(part, value, path=path, depth=depth)
    else:
        setattr(message, slot.name, _read(slot, value, path))


def _read(slot: _Slot, value: Any, path: str) -> Any:
    try:
        return slot.read(value)
    except (ValueError, TypeError, OverflowError, binascii.Error):
        shown = orjson.dumps(value).decode()[:40]
        raise Refused("malformed", f"{path} cannot be {shown}") from None


@cache  # one entry a message type of the schema
def _slots(descriptor: Descriptor) -> dict[str, _Slot]:
    return {
        field.json_name: _Slot(
            name=field.name,
            oneof=_oneof_name(field),
            is_list=field.is_repeated,
            is_message=field.message_type is not None,
            read=_reader(field),
        )
        for field in descriptor.fields
    }


def _oneof_name(field: FieldDescriptor) -> str | None:
    oneof = field.containing_oneof
    return None if oneof is None else str(oneof.name)


_INTEGER_BOUNDS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def _reader(field: FieldDescriptor) -> Reader:
    if field.cpp_type in _INTEGER_BOUNDS:
        low, high = _INTEGER_BOUNDS[field.cpp_type]
        is_enum = field.cpp_type == FieldDescriptor.CPPTYPE_ENUM
        return lambda value: _integer(value, low, high, text_allowed=not is_enum)
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return _float
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _boolean
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _hex if field.name in _HEX_FIELDS else _base64
    return _text


def _integer(value: Any, low: int, high: int, *, text_allowed: bool) -> int:
    if isinstance(value, bool) or (isinstance(value, str) and not text_allowed):
        raise TypeError(value)
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    if isinstance(value, str) and not value.lstrip("-").isdecimal():
        raise ValueError(value)
    number = int(value)
    if not low <= number <= high:
        raise ValueError(value)
    return number


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, str) and value in _FLOAT_WORDS:
        return _FLOAT_WORDS[value]
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _hex(value: Any) -> bytes:
    return binascii.unhexlify(_text(value))


def _base64(value: Any) -> bytes:
    """Standard or URL-safe, padded or not, as the protobuf JSON mapping allows."""
    text = _text(value).translate({ord("-"): "+", ord("_"): "/"})
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
