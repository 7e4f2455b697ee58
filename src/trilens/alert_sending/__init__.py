"""Telling outside Alertmanagers of alerts, as `alerting` of a prometheus.yml says.

    outside      who they are (discovery, relabelling), what each of them sees of an alert
    endpoint     one Alertmanager: what it has to be told, until it has been

Promise     every Alertmanager that is found is told of every alert; one that is away holds up
            none of the others. What could not be told is tried again with backoff, and what has
            become of the alert meanwhile is told instead: nothing old arrives late.
Limits      WAITING_MAX alerts wait for one Alertmanager; beyond it the oldest go, and are counted.
            Nothing is kept across a restart: rules are evaluated again then, and tell again.
"""
