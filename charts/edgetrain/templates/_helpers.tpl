{{- define "edgetrain.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "edgetrain.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "edgetrain.name" .) -}}
{{- end }}

{{- define "edgetrain.selector" -}}
app.kubernetes.io/name: edgetrain-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "edgetrain.labels" -}}
{{ include "edgetrain.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "edgetrain.fleetAddress" -}}
{{- .Values.fleet.address | default (printf "%s-fleet.%s.svc:%v" (include "edgetrain.name" .) .Release.Namespace .Values.fleet.service.port) -}}
{{- end }}
