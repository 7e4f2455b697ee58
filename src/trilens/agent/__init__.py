"""Watching one machine: its numbers, its log files, its journal, and Trilens itself.

Everything leaves by the same door as anybody's telemetry: HTTP to the server's receivers, so
it is checked, synced and loaded like the rest. Nothing here reads a setting or a store.

Numbers     host_metrics (node_exporter's names) and processes, as remote write 1.0 bodies. They
            wait in one bounded outbox; what does not fit is dropped oldest first, and counted
Log lines   tail (files) and journald, as OTLP log records. They wait where they are: nothing
            new is read until the server has acknowledged the batch before
Once        delivery writes down what it is about to send, sends, then moves the checkpoint. Where
            the outcome is unknown (killed, cut off) it asks the server before sending again
Ourselves   self_telemetry: own logs, spans and measures, marked so that they make no more

Limits      OUTBOX_BYTES_MAX waiting numbers, BATCH_BYTES_MAX of one batch, FILES_MAX open files,
            LINE_BYTES_MAX of one record, RECORDS_MAX of own telemetry between two sends
Read        remote_write, send, delivery, tail; then host_metrics; then watch, which runs them all.
"""
