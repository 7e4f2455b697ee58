"""Endpoints of the runbooks screen: the list, and one page as Markdown."""

from __future__ import annotations

from typing import Any

from trilens.errors import Refused
from trilens.present.endpoint import TEXT, Args, Context, Endpoint, array, of
from trilens.rule_packs.runbooks import runbooks


def _list(_context: Context, _args: Args) -> dict[str, Any]:
    return {
        "runbooks": [
            {"name": one.name, "pack": one.pack, "title": one.title} for one in runbooks().values()
        ]
    }


def _page(_context: Context, args: Args) -> dict[str, Any]:
    page = runbooks().get(args.text("name"))
    if page is None:
        raise Refused("not_found", f"there is no runbook {args.text('name')[:100]!r}")
    return {"name": page.name, "pack": page.pack, "title": page.title, "text": page.text}


_ONE = {"name": TEXT, "pack": TEXT, "title": TEXT}
ENDPOINTS = (
    Endpoint("GET", "/runbooks", "Pages on the alerts of rule packs, by name.", (),
             of(runbooks=array(of(**_ONE))), _list),
    Endpoint("GET", "/runbooks/{name}", "One page, as Markdown.", (), of(**_ONE, text=TEXT), _page),
)  # fmt: skip
