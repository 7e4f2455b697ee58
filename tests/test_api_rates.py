"""Rates of arrival from counters, with a clock that is set by hand."""

from trilens.measures import Measures
from trilens.present.arrival_rates import ArrivalRates, Totals

S = 10**9


class Clock:
    at_ns = 0

    def now_ns(self):
        return self.at_ns

    def monotonic_ns(self):
        return self.at_ns


def arrive(measures, requests, size):
    measures.count("trilens_receive_requests_total", "otlp_logs", "http", by=requests)
    measures.count("trilens_receive_bytes_total", "otlp_logs", "http", by=size)


def test_rates_are_of_about_the_last_minute():
    measures, clock = Measures(), Clock()
    rates = ArrivalRates(measures, clock)
    assert rates.per_s() == {}
    arrive(measures, 100, 5000)
    clock.at_ns = 10 * S
    assert rates.per_s()["otlp_logs"] == (10, 500)
    for second in range(11, 200):
        clock.at_ns = second * S
        arrive(measures, 2, 100)
        requests, size = rates.per_s()["otlp_logs"]
    assert (round(requests, 2), round(size)) == (2, 100)
    clock.at_ns += 120 * S
    assert rates.per_s()["otlp_logs"][0] < 1
    clock.at_ns += 61 * S
    assert rates.per_s()["otlp_logs"] == (0, 0)


def test_two_who_look_at_once_do_not_disturb_each_other():
    measures, clock = Measures(), Clock()
    rates = ArrivalRates(measures, clock)
    for second in range(1, 100):
        clock.at_ns = second * S
        arrive(measures, 3, 0)
        assert rates.per_s() == rates.per_s()
    assert round(rates.per_s()["otlp_logs"][0], 2) == 3


def test_totals_are_summed_over_transports():
    measures = Measures()
    rates = ArrivalRates(measures, Clock())
    for transport in ("http", "grpc"):
        measures.count("trilens_receive_requests_total", "otlp_traces", transport, by=2)
        measures.count("trilens_receive_refused_total", "otlp_traces", transport, "malformed")
    measures.count("trilens_load_rows_total", "otlp_traces", by=70)
    assert rates.totals("otlp_traces") == Totals(requests=4, refused=2, bytes=0, records=70)
    assert rates.totals("otlp_logs") == Totals()
