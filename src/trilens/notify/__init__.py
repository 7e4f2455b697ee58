"""The Alertmanager inside: from alerts to people, on its own configuration file.

    config.py       alertmanager.yml as it is: global_config, routes, receivers, time_intervals,
                    inhibition; read through config_files, with every fault's place
    matchers.py     matchers, in the UTF-8 and the classic syntax (matcher_syntax.py)
    alerts.py       an alert, and how two reports about one become one
    silences.py  inhibition.py  groups.py    who is quiet, what belongs together, when it is due
    message.py      what a notification says; templates/ fills them, channels/ send
    standing.py     how all stands, for those who look
    sent_log.py     what was sent: the promise about crashes stands there
    journal.py      the one file in which all state survives
    records.py      the state as records of the journal
    wording.py  delivery.py    what is to be said; one notification on its way
    notifier.py     puts it together; setup.py is what follows from one configuration
    clock_steps.py  when somebody sets the clock

Promise     an alert or a silence that was accepted is on disk, synced, before the sender hears so.
            Each active alert is in a notification to each receiver of its routes; sent_log.py
            says how often at most, also across crashes. Each attempt is on record.
Limits      200,000 alerts, 50,000 groups, 10,000 silences; 32 attempts at once, 4 of one
            integration; an attempt takes at most 60 s; the last 1000 attempts stay on record, and
            the last that was said to 200,000 groups and integrations
Not done    clustering (one program has the state); receivers that receivers.NOT_DONE names; SOCKS
            proxies; secret managers; tracing. Each is refused when the configuration is loaded,
            with its line.

Semantics are those of Alertmanager 0.34. Read config, notifier, sent_log, in that order.
"""
