{{/* Egress to networks (any, when none are given) at some TCP ports; takes (list CIDRs ports). */}}
{{- define "fathom.egress" -}}
- ports:
    {{- range index . 1 }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
  {{- with index . 0 }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* The pods of some components as peers; takes (list root component…). */}}
{{- define "fathom.peers" -}}
{{- $root := first . -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: fathom
      app.kubernetes.io/instance: {{ $root.Release.Name }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values:
          {{- toYaml (rest .) | nindent 10 }}
{{- end -}}
