{{/*
A Deployment's pod template; takes (list root component).

Everything that the `restricted` Pod Security Standard asks for is here, and a read-only root besides.
*/}}
{{- define "fathom.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := $root.Values -}}
{{- $own := index $values $component -}}
{{- $probePort := ternary "link" "health" (eq $component "worker") -}}
metadata:
  labels:
    {{- include "fathom.podLabels" . | nindent 4 }}
  annotations:
    # Settings are read at the start: what changes them restarts the pods that they concern.
    fathom.dev/config-digest: {{ printf "%s%s%s" (include "fathom.config" .) (toYaml $values.exchanges) (toYaml $values.exchangeCertificates) | sha256sum | trunc 16 | quote }}
    {{- $scraping := dict "prometheus.io/scrape" "true" "prometheus.io/path" "/metrics" "prometheus.io/port" (ternary "8082" "9090" (eq $component "worker")) }}
    {{- toYaml (merge (deepCopy $values.podAnnotations) $scraping) | nindent 4 }}
spec:
  serviceAccountName: {{ $root.Release.Name }}-{{ $component }}
  # The token comes by the volume `api` below, short-lived and bound to the pod.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $own.terminationGracePeriodSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    {{- with $values.podSecurity.runAsUser }}
    runAsUser: {{ int64 . }}
    {{- end }}
    {{- with $values.podSecurity.runAsGroup }}
    runAsGroup: {{ int64 . }}
    fsGroup: {{ int64 . }}
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: {{ $component }}
      image: {{ include "fathom.image" $root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        - {{ $component }}
      env:
        - name: FATHOM_CONFIG
          value: /etc/fathom/config.yaml
        {{- range $name, $path := dict "POD_NAME" "metadata.name" "POD_UID" "metadata.uid" "POD_NAMESPACE" "metadata.namespace" "NODE_NAME" "spec.nodeName" "POD_IP" "status.podIP" }}
        - name: {{ $name }}
          valueFrom:
            fieldRef:
              fieldPath: {{ $path }}
        {{- end }}
      ports:
        {{- if eq $component "worker" }}
        - name: link
          containerPort: 8082
          protocol: TCP
        {{- else }}
        {{- if eq $component "gateway" }}
        - name: http
          containerPort: 8080
          protocol: TCP
        {{- end }}
        - name: health
          containerPort: 9090
          protocol: TCP
        {{- end }}
      # Alive: the loop that serves answers. Patient, since a restart loses books and an overload does not end by one.
      startupProbe:
        httpGet:
          path: /healthz
          port: {{ $probePort }}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet:
          path: /healthz
          port: {{ $probePort }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # Ready: data flows (docs/install.md says what that is for each).
      readinessProbe:
        httpGet:
          path: /readyz
          port: {{ $probePort }}
        periodSeconds: 3
        timeoutSeconds: 2
        failureThreshold: 2
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop:
            - ALL
      volumeMounts:
        - name: config
          mountPath: /etc/fathom
          readOnly: true
        - name: api
          mountPath: /var/run/secrets/kubernetes.io/serviceaccount
          readOnly: true
        {{- if and (eq $component "gateway") $values.tls.secretName }}
        - name: tls
          mountPath: /etc/fathom-tls
          readOnly: true
        {{- end }}
        {{- if eq $component "worker" }}
        - name: audits
          mountPath: /var/lib/fathom/audits
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ $root.Release.Name }}-config
    - name: api
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken:
              path: token
              expirationSeconds: 3600
          - configMap:
              name: kube-root-ca.crt
              items:
                - key: ca.crt
                  path: ca.crt
          - downwardAPI:
              items:
                - path: namespace
                  fieldRef:
                    fieldPath: metadata.namespace
    {{- if and (eq $component "gateway") $values.tls.secretName }}
    # Mounted whole and not by subPath, so that a new certificate comes through.
    - name: tls
      secret:
        secretName: {{ $values.tls.secretName }}
        defaultMode: 0440
    {{- end }}
    {{- if eq $component "worker" }}
    - name: audits
      emptyDir:
        sizeLimit: {{ $own.dumpSize }}
    {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- with $own.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "fathom.selector" (list $root $component) | nindent 10 }}
    {{- end }}
    {{- end }}
{{- end -}}
