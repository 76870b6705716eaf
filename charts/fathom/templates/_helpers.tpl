{{/* Labels of an object; takes (list root component). The component is left out for what serves all. */}}
{{- define "fathom.labels" -}}
{{- $root := index . 0 -}}
{{- $own := dict
      "app.kubernetes.io/name" "fathom"
      "app.kubernetes.io/instance" $root.Release.Name
      "app.kubernetes.io/version" $root.Chart.AppVersion
      "app.kubernetes.io/managed-by" $root.Release.Service
      "app.kubernetes.io/part-of" "fathom"
      "helm.sh/chart" (printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_")) -}}
{{- with index . 1 }}{{- $_ := set $own "app.kubernetes.io/component" . }}{{- end -}}
{{- toYaml (merge $own $root.Values.extraLabels) -}}
{{- end -}}

{{/* What selects the pods of a component; takes (list root component). */}}
{{- define "fathom.selector" -}}
app.kubernetes.io/name: fathom
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of a component's pods; takes (list root component). Nothing that changes with the chart's version alone. */}}
{{- define "fathom.podLabels" -}}
{{- $root := index . 0 -}}
{{- $own := fromYaml (include "fathom.selector" .) -}}
{{- toYaml (merge $own (index $root.Values (index . 1)).podLabels $root.Values.extraLabels) -}}
{{- end -}}

{{- define "fathom.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Which file a program is configured by: its own section, and what it has in common with the others. */}}
{{- define "fathom.config" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := $root.Values -}}
{{- $own := index $values $component -}}
{{- $config := dict "host" $values.network.listen "logLevel" $values.log.level "logFormat" $values.log.format "linkKeySecret" "fathom-link" -}}
{{- if $values.exchanges }}{{ $_ := set $config "exchanges" "/etc/fathom/exchanges.yaml" }}{{ end -}}
{{- if eq $component "controller" -}}
{{- $_ := mustMergeOverwrite $config (dict "port" 9090 "credentials" (ternary "assign" "ignore" $values.credentials.enabled)) -}}
{{- else if eq $component "worker" -}}
{{- $_ := mustMergeOverwrite $config (dict "port" 8082 "threads" $own.threads "feeds" $own.feeds "dumpDir" "/var/lib/fathom/audits" "drainSeconds" (sub $own.terminationGracePeriodSeconds 10)) -}}
{{- else -}}
{{- $_ := mustMergeOverwrite $config (dict "port" 8080 "healthPort" 9090 "threads" $own.threads "credentialEndpoints" (ternary "on" "off" $values.auth.credentialEndpoints)) $values.limits -}}
{{- $_ := set $config "anonymous" (ternary "manage" $values.auth.anonymous $values.auth.allowAnonymousManage) -}}
{{- with $values.auth.tokensSecret }}{{ $_ := set $config "tokensSecret" . }}{{ end -}}
{{- if $values.tls.secretName -}}
{{- $_ := mustMergeOverwrite $config (dict "tlsCertFile" "/etc/fathom-tls/tls.crt" "tlsKeyFile" "/etc/fathom-tls/tls.key") -}}
{{- end -}}
{{- end -}}
{{- toYaml (mustMergeOverwrite $config $own.config) -}}
{{- end -}}

{{/* The port of the gateway's Service. */}}
{{- define "fathom.servicePort" -}}
{{- if and .Values.tls.secretName (eq (int .Values.service.port) 80) }}443{{ else }}{{ .Values.service.port }}{{ end -}}
{{- end -}}

{{/* How clients speak to the gateway. */}}
{{- define "fathom.scheme" -}}
{{- ternary "https" "http" (ne .Values.tls.secretName "") -}}
{{- end -}}

{{/* Ends the rendering with words where a release cannot work. */}}
{{- define "fathom.check" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) -}}
{{- fail (printf "release name %q: a Service is named after it, so it has to begin with a letter and to consist of a-z, 0-9 and -" .Release.Name) -}}
{{- end -}}
{{- $link := lookup "v1" "Secret" .Release.Namespace "fathom-link" -}}
{{- if $link -}}
{{- $owner := get (($link.metadata).annotations | default dict) "meta.helm.sh/release-name" -}}
{{- if and $owner (ne $owner .Release.Name) -}}
{{- fail (printf "namespace %q already has Fathom, as release %q; one namespace holds one. Give --namespace another one, or upgrade that release" .Release.Namespace $owner) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Whether this release makes the CustomResourceDefinition of this name: where there is none, and where it is its own.
Takes (list root name); empty means no.
*/}}
{{- define "fathom.makesCRD" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- /* Not looked up where nothing is made: who installs then needs no permission to read definitions. */ -}}
{{- if $root.Values.crds.install -}}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- $notes := (($there | default dict).metadata | default dict).annotations | default dict -}}
{{- $release := get $notes "meta.helm.sh/release-name" -}}
{{- $namespace := get $notes "meta.helm.sh/release-namespace" -}}
{{- if not $there -}}yes
{{- else if and (eq $release $root.Release.Name) (eq $namespace $root.Release.Namespace) -}}yes
{{- else -}}
{{- $version := get $notes "fathom.dev/chart-version" | default "0.0.0" -}}
{{- $owner := ternary (printf "release %q of namespace %q" $release $namespace) "nobody that Helm knows" (ne $release "") -}}
{{- if semverCompare (printf ">%s" $version) $root.Chart.Version -}}
{{- fail (printf "the CustomResourceDefinition %s is of version %s and belongs to %s; this chart is %s and needs its own. Upgrade that release first, or hand the definition over as docs/install.md says" $name $version $owner $root.Chart.Version) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
