"""Where text goes: as it is, or into a page, where a value is escaped for the place it stands in.

The place is known from what was written before: text, a tag, an attribute's value, a comment,
<script>, <style>. This is what html/template decides when it reads a template; it decides the
same for all branches or refuses the template, we follow the branch that was taken.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import quote

from trilens.go_template.errors import FunctionError
from trilens.go_template.execute import TextOutput
from trilens.go_template.values import Value, printed
from trilens.notify.templates.values import SafeText, SafeUrl

Place = Literal["text", "tag", "attribute", "comment", "raw"]
_ESCAPES: Final = str.maketrans({
    "\0": "\ufffd", '"': "&#34;", "&": "&amp;", "'": "&#39;", "+": "&#43;", "<": "&lt;",
    ">": "&gt;",
})  # fmt: skip
_UNQUOTED_ESCAPES: Final = _ESCAPES | str.maketrans({
    "\t": "&#9;", "\n": "&#10;", "\v": "&#11;", "\f": "&#12;", "\r": "&#13;", " ": "&#32;",
    "=": "&#61;", "`": "&#96;",
})  # fmt: skip
_OPEN: Final = re.compile(r"<!--|<(/?)([a-zA-Z][^\s/>]*)")
_ATTRIBUTE: Final = re.compile(r"([^\s\"'>/=]+)\s*=\s*([\"']?)")
_URLS: Final = frozenset({
    "href", "src", "action", "formaction", "cite", "background", "poster", "data", "longdesc",
    "usemap", "manifest", "icon", "profile", "classid", "codebase", "archive",
})  # fmt: skip
_SCHEMES: Final = frozenset({"http", "https", "mailto"})
# Characters that stay in a URL: html/template normalises, it does not encode what is reserved.
_URL_SAFE: Final = "!#$&*+,/:;=?@[]-._~%"


class PageOutput(TextOutput):
    def __init__(self) -> None:
        super().__init__()
        self._place: Place = "text"
        self._tag = ""
        self._attribute = ""
        self._quote = ""
        self._is_begun = False
        self._pending = ""

    def raw(self, text: str) -> None:
        super().raw(text)
        self._follow(self._pending + text)

    def value(self, value: Value) -> None:
        if self._place == "text" and self._pending:
            self._pending = ""  # a "<" that no tag followed
        text = "" if value is None else printed(value)
        match self._place:
            case "text":
                super().raw(text if isinstance(value, SafeText) else text.translate(_ESCAPES))
            case "attribute":
                super().raw(self._in_attribute(value, text))
                self._is_begun = True
            case "comment":
                pass  # html/template leaves comments out altogether
            case "raw":
                raise FunctionError(f"a value inside of <{self._tag}> is not escaped here: refused")
            case "tag":
                self._in_tag(text)

    def _in_tag(self, text: str) -> None:
        found = re.search(r"([^\s\"'>/=]+)\s*=\s*$", self._pending)
        if found is None:
            super().raw(re.sub(r"[^a-zA-Z0-9-]", "", text) or "ZgotmplZ")
            return
        self._place, self._attribute, self._quote = "attribute", found[1].lower(), ""
        self._pending, self._is_begun = "", True
        super().raw(self._in_attribute(text, text))

    def _in_attribute(self, value: Value, text: str) -> str:
        if self._attribute in _URLS:
            is_first = not self._is_begun
            scheme = (
                text.partition(":")[0] if ":" in re.split(r"[/?#]", text, maxsplit=1)[0] else ""
            )
            if is_first and scheme and scheme.lower() not in _SCHEMES:
                text = text if isinstance(value, SafeUrl) else "#ZgotmplZ"
            text = quote(text, safe=_URL_SAFE)
        elif self._attribute.startswith("on") or self._attribute == "style":
            where = f"{self._attribute}="
            raise FunctionError(f"a value inside of {where} is not escaped here: refused")
        return text.translate(_ESCAPES if self._quote else _UNQUOTED_ESCAPES)

    def _follow(self, text: str) -> None:
        at = 0
        self._pending = ""
        while at < len(text):
            match self._place:
                case "text":
                    at = self._follow_text(text, at)
                case "tag":
                    at = self._follow_tag(text, at)
                case "attribute":
                    at = self._follow_attribute(text, at)
                case "comment":
                    at = self._until(text, at, "-->")
                case "raw":
                    at = self._until(text, at, f"</{self._tag}")

    def _follow_text(self, text: str, at: int) -> int:
        found = _OPEN.search(text, at)
        if found is None:
            self._pending = "<" if text.endswith("<") else ""
            return len(text)
        if found[2] is None:
            self._place = "comment"
        else:
            self._place = "tag"
            self._tag = found[2].lower() if not found[1] else ""
        return found.end()

    def _follow_tag(self, text: str, at: int) -> int:
        while at < len(text) and text[at] != ">":
            found = _ATTRIBUTE.match(text, at)
            if found is None:
                at += 1
            elif not found[2] and found.end() == len(text):
                self._pending = found[0]  # the value follows, from the template or from data
                return len(text)
            else:
                self._place, self._attribute = "attribute", found[1].lower()
                self._quote, self._is_begun = found[2], False
                return found.end()
        if at < len(text):
            self._place = "raw" if self._tag in {"script", "style"} else "text"
            return at + 1
        return at

    def _follow_attribute(self, text: str, at: int) -> int:
        ends = self._quote or " \t\r\n>"
        while at < len(text) and text[at] not in ends:
            at += 1
            self._is_begun = True
        if at == len(text):
            return at
        self._place = "tag"
        return at + 1 if self._quote else at

    def _until(self, text: str, at: int, end: str) -> int:
        found = text.lower().find(end, at)
        if found < 0:
            return len(text)
        self._place = "text" if end == "-->" else "tag"
        self._tag = ""
        return found + len(end)
