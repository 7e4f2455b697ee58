"""Names of what is read, and the expressions that the indexes were made for.

Logs and spans are read through their documented views. Samples and series are not: the view
`samples` joins every sample with its series and decodes its value, which is only worth doing for
rows that are shown; a series may have several rows here until they have merged.
"""

from __future__ import annotations

LOGS = "trilens.logs"
SPANS = "trilens.spans"
SAMPLES = "trilens.sample_rows"
HISTOGRAMS = "trilens.histogram_rows"
EXEMPLARS = "trilens.exemplar_rows"
SERIES = "trilens.series_rows"
METADATA = "trilens.metadata"

# A value of SAMPLES. Prometheus writes a certain NaN where a series ends: bits 7ff0000000000002.
SAMPLE_VALUE = "trilens_sample_value(mantissa, exponent)"
IS_NOT_STALE_MARK = "NOT (exponent = 127 AND mantissa = 9218868437227405314)"
IS_STALE_MARK = "reinterpretAsUInt64(assumeNotNull({})) = 9218868437227405314"

# The text index of the body ignores case (its preprocessor is lower(body)), for the functions of
# tokens on the plain column as well as for LIKE on this expression.
BODY = "body"
BODY_LOWERED = "lower(body)"

# What a search by attribute asks: has(attribute_pairs, 'key=value').
ATTRIBUTE_PAIRS = "attribute_pairs"
