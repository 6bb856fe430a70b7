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

{{/* An image's reference: (dict "image" .Values.image "root" .) */}}
{{- define "edgetrain.image" -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end }}

{{/* What it does in the namespaces of jobs. tests/lab/test_rbac_audit.py fails on a verb too many or too few. */}}
{{- define "edgetrain.jobRules" -}}
- apiGroups: [edgetrain.io]
  resources: [edgetrainingjobs]
  verbs: [get, list, watch, delete]
- apiGroups: [edgetrain.io]
  resources: [edgetrainingjobs/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
# The plan and the CA bundle of each job.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, update, patch]
# Each job's token. Never read: even a patch would return what a Secret holds.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [create]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "edgetrain.subjects" -}}
- kind: ServiceAccount
  name: {{ include "edgetrain.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
