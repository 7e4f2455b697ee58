"""Rules of Prometheus: recording rules and alerts, on Prometheus's own files.

    rule_files      files to groups of rules, or everything that is wrong with them
    instant_query   an expression at one moment, over what is stored and what rules just recorded
    group           one evaluation: rules in order; what they record, which alerts they raise
    alert_states    inactive, pending, firing, resolved; what has to be sent
    schedule        groups at their times, reloads, the state that outlives a restart
    alert_text      labels and annotations as templates of Go, with Prometheus's functions
    unit_tests      the files of `promtool test rules`
    backfill        recording rules over the past

What is recorded leaves as bodies of remote write 1.0, alerts as objects: who builds a Schedule says
where they go. Read rule_files, then group, then schedule.
"""
