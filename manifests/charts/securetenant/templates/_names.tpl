{{- define "securetenant.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "securetenant.mutates" -}}
{{- if eq .Values.policies.mutating "Auto" -}}
{{ .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" }}
{{- else -}}
{{ eq .Values.policies.mutating "Always" }}
{{- end -}}
{{- end -}}
