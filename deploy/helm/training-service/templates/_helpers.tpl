{{- define "name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* A CronJob's name has 52 characters at most: a Job's name is made of it. */}}
{{- define "archive" -}}
{{ include "name" . | trunc 44 | trimSuffix "-" }}-archive
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What every pod of the chart is told. By way of JSON, which writes a large number without an exponent. */}}
{{- define "settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ if kindIs "string" $value }}{{ $value | quote }}{{ else }}{{ $value | toJson | quote }}{{ end }}
{{- end }}
TRAINING_WEB_HOST: "0.0.0.0"
TRAINING_WEB_PORT: "8080"
TRAINING_STOP_GRACE: {{ .Values.stop.grace | quote }}
{{- with .Values.archive.claim }}
TRAINING_ARCHIVE_DIR: /var/lib/training/archive
{{- end }}
{{- end }}

{{/* What every pod of the chart has. Service links would put variables of that prefix into the environment. */}}
{{- define "pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
  {{- with .Values.files.secret }}
  - name: files
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- with .Values.archive.claim }}
  - name: archive
    persistentVolumeClaim: {claimName: {{ . }}}
  {{- end }}
{{- end }}

{{/* What every container of the chart has. */}}
{{- define "container" -}}
image: {{ include "image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.files.secret }}
  - {name: files, mountPath: {{ .Values.files.path }}, readOnly: true}
  {{- end }}
  {{- if .Values.archive.claim }}
  - {name: archive, mountPath: /var/lib/training/archive}
  {{- end }}
{{- end }}

{{/* Rules of a NetworkPolicy that let a pod ask for addresses, and reach what is in the list of (name of a rule). */}}
{{- define "egress" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- range $name := .only }}
{{- with index $.to $name }}
- ports: [{protocol: TCP, port: {{ .port }}}]
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
