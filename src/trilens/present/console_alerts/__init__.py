"""The alerts screen: what fires, the rules behind it, their past, and what a rule would have done.

`alerting` is what of the server the endpoints ask: rules, the Alertmanager inside, PromQL.
`listing` has the alerts that are pending or firing, and who holds them back; `rules` the rules by
file and group, and one rule whole; `past` states over time, the values of an expression, the
preview; `endpoints` the rows of all routes.
"""
