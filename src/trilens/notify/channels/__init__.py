"""Ways to a receiver, one file each: a notification to requests, an answer to an outcome.

    outcome.py   what came of an attempt, and whether another one makes sense
    posting.py   what channels over HTTP have in common
    webhook.py  slack.py  pagerduty.py  opsgenie.py  sns.py  teams.py  discord.py
    email.py     over SMTP; named mail.py, since Python has an `email` of its own

Requests are those of Alertmanager 0.34, byte for byte where JSON leaves a choice, and cut to what
a service takes. `send` may be
called from any thread, blocks no longer than `timeout_s`, and raises nothing.
"""
