"""A pack's rule files, read like those of a user.

The name of a file is `rule_packs/PACK/TOPIC.yml` wherever the program is installed: it is part of
what keeps the state of an alert, and what /api/v1/rules shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trilens.alert.rule_files import RuleGroup, read_rules
from trilens.config_files.yaml_nodes import read_file

_DIRECTORY = Path(__file__).parent


def files_of_pack(pack: str) -> list[Path]:
    """In the order of names; empty if there is no such pack."""
    return sorted((_DIRECTORY / pack).glob("*.yml"))


def read_packs(packs: Iterable[str]) -> list[RuleGroup]:
    """Groups of all files. Raises FileRefused where the installation is damaged."""
    groups: list[RuleGroup] = []
    for pack in packs:
        for path in files_of_pack(pack):
            groups += read_rules(read_file(path), f"rule_packs/{pack}/{path.name}")
    return groups
