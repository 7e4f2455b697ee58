"""The templates that every configuration may call: Alertmanager's names, our words.

Names that begin with two underscores are used by people's own files too, so they are here. What
they show is what Alertmanager shows: subject, labels, annotations, source.
"""

from __future__ import annotations

from typing import Final

_PARTS: Final = """
{{- define "__alertmanager" }}Trilens{{ end }}
{{- define "__alertmanagerURL" -}}
  {{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}
{{- end }}
{{- define "__description" }}{{ end }}
{{- define "__subject" -}}
  [{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ len .Alerts.Firing }}{{ end }}]
  {{- " " }}{{ join " " .GroupLabels.SortedPairs.Values }}
  {{- " " }}{{ if gt (len .CommonLabels) (len .GroupLabels) -}}
    ({{ join " " (.CommonLabels.Remove .GroupLabels.Names).Values }})
  {{- end }}
{{- end }}
{{- define "__text_alert_list" }}{{ range . }}Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}
{{- define "__text_alert_list_markdown" }}{{ range . }}
Labels:
{{ range .Labels.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Annotations:
{{ range .Annotations.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Source: {{ .GeneratorURL }}
{{ end }}{{ end }}
{{- define "__both_lists" }}
{{- with .Alerts.Firing }}
Alerts Firing:
{{ template "__text_alert_list" . }}
{{- end }}
{{- with .Alerts.Resolved }}
Alerts Resolved:
{{ template "__text_alert_list" . }}
{{- end }}
{{- end }}
{{- define "__both_lists_markdown" }}
{{- with .Alerts.Firing }}
# Alerts Firing:
{{ template "__text_alert_list_markdown" . }}
{{- end }}
{{- with .Alerts.Resolved }}
# Alerts Resolved:
{{ template "__text_alert_list_markdown" . }}
{{- end }}
{{- end }}
{{- define "__annotations_and_lists" -}}
  {{ join " " .CommonAnnotations.SortedPairs.Values }}
{{ template "__both_lists" . }}
{{- end }}
"""

_RECEIVERS: Final = """
{{- define "slack.default.title" }}{{ template "__subject" . }}{{ end }}
{{- define "slack.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{- define "slack.default.fallback" -}}
  {{ template "slack.default.title" . }} | {{ template "slack.default.titlelink" . }}
{{- end }}
{{- define "slack.default.username" }}{{ template "__alertmanager" . }}{{ end }}
{{- define "slack.default.color" -}}
  {{ if eq .Status "firing" }}danger{{ else }}good{{ end }}
{{- end }}
{{- define "slack.default.callbackid" }}{{ end }}
{{- define "slack.default.pretext" }}{{ end }}
{{- define "slack.default.iconemoji" }}{{ end }}
{{- define "slack.default.iconurl" }}{{ end }}
{{- define "slack.default.text" }}{{ end }}
{{- define "slack.default.footer" }}{{ end }}
{{- define "pagerduty.default.description" }}{{ template "__subject" . }}{{ end }}
{{- define "pagerduty.default.client" }}{{ template "__alertmanager" . }}{{ end }}
{{- define "pagerduty.default.clientURL" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{- define "pagerduty.default.instances" }}{{ template "__text_alert_list" . }}{{ end }}
{{- define "opsgenie.default.message" }}{{ template "__subject" . }}{{ end }}
{{- define "opsgenie.default.description" -}}
  {{ join " " .CommonAnnotations.SortedPairs.Values }}
{{ with .Alerts.Firing }}Alerts Firing:
{{ template "__text_alert_list" . }}{{ end }}
{{ with .Alerts.Resolved }}Alerts Resolved:
{{ template "__text_alert_list" . }}{{ end }}
{{- end }}
{{- define "opsgenie.default.source" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{- define "sns.default.subject" }}{{ template "__subject" . }}{{ end }}
{{- define "sns.default.message" }}{{ template "__annotations_and_lists" . }}{{ end }}
{{- define "discord.default.content" }}{{ end }}
{{- define "discord.default.title" }}{{ template "__subject" . }}{{ end }}
{{- define "discord.default.message" }}{{ template "__both_lists" . }}{{ end }}
{{- define "msteams.default.summary" }}{{ template "__subject" . }}{{ end }}
{{- define "msteams.default.title" }}{{ template "__subject" . }}{{ end }}
{{- define "msteams.default.text" }}{{ template "__both_lists_markdown" . }}{{ end }}
{{- define "msteamsv2.default.title" }}{{ template "__subject" . }}{{ end }}
{{- define "msteamsv2.default.text" }}{{ template "__both_lists_markdown" . }}{{ end }}
{{- define "email.default.subject" }}{{ template "__subject" . }}{{ end }}
"""

_EMAIL: Final = """
{{- define "email.default.html" -}}
<!DOCTYPE html>
<html lang="en">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8">
<title>{{ template "__subject" . }}</title>
</head>
<body style="margin:0;padding:24px;background-color:#f3f4f6;font-family:sans-serif;font-size:14px">
<table role="presentation" width="600" cellpadding="12" style="background-color:#ffffff">
<tr><td style="color:#ffffff;font-weight:bold;background-color:{{ template "__email_colour" . }}">
{{ len .Alerts }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} for
{{ range .GroupLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}
</td></tr>
<tr><td><a href="{{ template "__alertmanagerURL" . }}">View in {{ template "__alertmanager" . }}</a>
</td></tr>
{{ with .Alerts.Firing }}<tr><td><strong>[{{ len . }}] Firing</strong></td></tr>
{{ template "__email_alerts" . }}{{ end }}
{{ with .Alerts.Resolved }}<tr><td><strong>[{{ len . }}] Resolved</strong></td></tr>
{{ template "__email_alerts" . }}{{ end }}
</table>
<p><a href="{{ .ExternalURL }}">Sent by {{ template "__alertmanager" . }}</a></p>
</body>
</html>
{{- end }}
{{- define "__email_colour" }}{{ if .Alerts.Firing }}#b91c1c{{ else }}#15803d{{ end }}{{ end }}
{{- define "__email_alerts" }}{{ range . }}<tr><td>
<strong>Labels</strong><br>
{{ range .Labels.SortedPairs }}{{ .Name }} = {{ .Value }}<br>
{{ end }}{{ if .Annotations }}<strong>Annotations</strong><br>
{{ end }}{{ range .Annotations.SortedPairs }}{{ .Name }} = {{ .Value }}<br>
{{ end }}<a href="{{ .GeneratorURL }}">Source</a>
</td></tr>
{{ end }}{{ end }}
"""

DEFAULTS: Final = _PARTS + _RECEIVERS + _EMAIL
