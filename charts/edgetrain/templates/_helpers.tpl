{{/* A release's name may hold dots, a Service's may not. */}}
{{- define "edgetrain.name" -}}
{{- .Release.Name | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "edgetrain.operator" -}}
{{- include "edgetrain.name" . -}}-operator
{{- end }}

{{- define "edgetrain.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "edgetrain.name" .) -}}
{{- end }}

{{- define "edgetrain.selector" -}}
app.kubernetes.io/name: edgetrain-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What all objects of the chart carry. */}}
{{- define "edgetrain.common" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "edgetrain.labels" -}}
app.kubernetes.io/name: edgetrain-operator
{{ include "edgetrain.common" . }}
{{- end }}

{{/* Environment, as JSON. In small letters too: programs differ in which they read. */}}
{{- define "edgetrain.proxyEnv" -}}
{{- $env := list }}
{{- with .root.Values.proxy }}
{{- if or .http .https }}
{{- $fleet := regexReplaceAll ":[0-9]+$" (include "edgetrain.fleetAddress" $.root) "" }}
{{- $near := concat (list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" $fleet) $.near .noProxy | uniq | join "," }}
{{- range $name, $value := dict "HTTP_PROXY" .http "HTTPS_PROXY" .https "NO_PROXY" $near }}
{{- if $value }}
{{- $env = concat $env (list (dict "name" $name "value" $value) (dict "name" (lower $name) "value" $value)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $env }}
{{- end }}

{{- define "edgetrain.fleetAddress" -}}
{{- .Values.fleet.address | default (printf "%s-fleet.%s.svc:%v" (include "edgetrain.name" .) .Release.Namespace .Values.fleet.service.port) -}}
{{- end }}

{{/* The Secret with a certificate that others issue; empty where the operator's own CA does. */}}
{{- define "edgetrain.tlsSecret" -}}
{{- if eq .Values.fleet.tls.source "cert-manager" -}}
{{- include "edgetrain.name" . -}}-fleet-tls
{{- else if eq .Values.fleet.tls.source "secret" -}}
{{- .Values.fleet.tls.secretName -}}
{{- end -}}
{{- end }}

{{- define "edgetrain.priorityClass" -}}
{{- if .Values.priorityClass.create -}}
{{- .Values.priorityClassName | default (include "edgetrain.operator" .) -}}
{{- else -}}
{{- .Values.priorityClassName -}}
{{- end -}}
{{- end }}

{{/* An image's reference: (dict "image" .Values.image "root" .) */}}
{{- define "edgetrain.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* Pod Security `restricted`, and a user that owns nothing. */}}
{{- define "edgetrain.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "edgetrain.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
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
# Each pod's identity. Never read: even a patch would return what a Secret holds.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [create]
# Whether the namespace says itself what memory a container may have.
- apiGroups: [""]
  resources: [limitranges]
  verbs: [list]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.jobs.networkPolicy.enabled }}
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create]
{{- end }}
{{- if .Values.kueue.enabled }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads/status]
  verbs: [patch]
{{- end }}
{{- end }}

{{- define "edgetrain.scrapeAuth" -}}
{{- with .Values.metrics.auth }}
{{- if .secretName -}}
authorization:
  credentials: {name: {{ .secretName }}, key: {{ .secretKey }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "edgetrain.subjects" -}}
- kind: ServiceAccount
  name: {{ include "edgetrain.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
