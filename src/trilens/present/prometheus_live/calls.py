"""The calls of Prometheus's API about what runs."""

from __future__ import annotations

from trilens.present import prometheus_json as encoded
from trilens.present.prometheus_live import rules as of_rules
from trilens.present.prometheus_live import targets as of_targets
from trilens.present.prometheus_query import Answer, Question


def rules(question: Question) -> Answer:
    return Answer(encoded.json_of(of_rules.rules(question.form, question.live.groups())))


def alerts(question: Question) -> Answer:
    return Answer(encoded.json_of(of_rules.alerts(question.live.groups())))


def targets(question: Question) -> Answer:
    form = question.form
    found = of_targets.targets(
        question.live.pools(), pool=form.text("scrapePool"), state=form.text("state")
    )
    return Answer(encoded.json_of(found))


def relabel_steps(question: Question) -> Answer:
    form = question.form
    found = of_targets.relabel_steps(
        question.live.pools(), pool=form.text("scrapePool"), labels=form.text("labels")
    )
    return Answer(encoded.json_of(found))


def scrape_pools(question: Question) -> Answer:
    return Answer(encoded.json_of(of_targets.scrape_pools(question.live.pools())))


def pool_config(question: Question) -> Answer:
    found = of_targets.pool_config(question.live.pools(), pool=question.form.text("scrapePool"))
    return Answer(encoded.json_of(found))


def alertmanagers(question: Question) -> Answer:
    told, dropped = question.live.alertmanagers()
    return Answer(
        encoded.json_of(
            {
                "activeAlertmanagers": [{"url": url} for url in told],
                "droppedAlertmanagers": [{"url": url} for url in dropped],
            }
        )
    )


def remote_write(question: Question) -> Answer:
    return Answer(
        encoded.json_of(
            [
                {
                    "name": one.name,
                    "url": one.url,
                    "shards": one.shards,
                    "waitingBatches": one.batches,
                    "waitingRows": one.rows,
                    "lagSeconds": one.lag_s,
                    "lastError": one.last_error,
                }
                for one in question.live.destinations()
            ]
        )
    )
