"""Rules that come with the program, off until `--rule-packs` names them.

    packs         a pack's rule files, as groups
    runbooks      its pages, one an alert
    kubernetes/   the rule files by topic, and below runbooks/ the pages

A rule file of a pack is one of Prometheus like any other: `trilens check` and promtool read it, and
its unit tests stand in tests/rule_packs. Each alert names its page in `runbook_url`.
"""
