{{/* A worker's id is its pod's name, cut at 50 characters: 30 for the release, 17 for what Kubernetes adds. */}}
{{- define "shortwire.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "shortwire.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "shortwire.labels" -}}
{{ include "shortwire.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "shortwire.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "shortwire.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "shortwire.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* The configuration file: config, and where the admin server listens. */}}
{{- define "shortwire.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $admin := deepCopy (default (dict) $config.admin) -}}
{{- $_ := set $admin "listen" (printf ":%d" (int .Values.adminPort)) -}}
{{- $_ := set $config "admin" $admin -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Not empty when the admin server speaks TLS. */}}
{{- define "shortwire.adminTLS" -}}
{{- default "" (default (dict) (default (dict) .Values.config.admin).tls).cert_file -}}
{{- end -}}

{{- define "shortwire.adminScheme" -}}
{{- if include "shortwire.adminTLS" . -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{/* Seconds of a duration as the configuration writes it (1m30s, 500ms), rounded up. */}}
{{- define "shortwire.seconds" -}}
{{- $ms := 0.0 -}}
{{- $unit := dict "ms" 1.0 "s" 1000.0 "m" 60000.0 "h" 3600000.0 -}}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" . -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $ms = addf $ms (mulf (float64 $number) (get $unit (trimPrefix $number .))) -}}
{{- end -}}
{{- ceil (divf $ms 1000.0) | int -}}
{{- end -}}

{{/* The grace period: what drain, preStop and margin need, or more. */}}
{{- define "shortwire.gracePeriod" -}}
{{- $drain := default "25s" (default (dict) .Values.config.worker).drain_timeout -}}
{{- $need := add (include "shortwire.seconds" $drain | int) (int .Values.preStop.sleepSeconds) (int .Values.drainMarginSeconds) | int -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- $need -}}
{{- else if lt (int $given) $need -}}
{{- fail (printf "terminationGracePeriodSeconds: is %d, must be at least %d: config.worker.drain_timeout (%s) + preStop.sleepSeconds (%d) + drainMarginSeconds (%d); else workers are killed with jobs in hand" (int $given) $need $drain (int .Values.preStop.sleepSeconds) (int .Values.drainMarginSeconds)) -}}
{{- else -}}
{{- int $given -}}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say so that it is understood. */}}
{{- define "shortwire.checkConfig" -}}
{{- $no := "passwords never stand in values: name password_env, and the Secret in secretEnv, or password_file, and the Secret in secretFiles" -}}
{{- range $part := list "nats" "redis" -}}
{{- if hasKey (default (dict) (get $.Values.config $part)) "password" -}}{{- fail (printf "config.%s.password: %s" $part $no) -}}{{- end -}}
{{- end -}}
{{- range $i, $route := .Values.config.routes -}}
{{- if hasKey $route "password" -}}{{- fail (printf "config.routes[%d].password: %s" $i $no) -}}{{- end -}}
{{- end -}}
{{- if hasKey (default (dict) .Values.config.admin) "listen" -}}{{- fail "config.admin.listen: the chart sets it; choose the port by adminPort" -}}{{- end -}}
{{- range $key := list "token" "read_token" -}}
{{- if hasKey (default (dict) $.Values.config.admin) $key -}}{{- fail (printf "config.admin.%s: %s" $key (replace "password" $key $no)) -}}{{- end -}}
{{- end -}}
{{- $sm := .Values.serviceMonitor -}}
{{- $admin := default (dict) .Values.config.admin -}}
{{- if and $sm.enabled (not $sm.authorization) (not $sm.tlsConfig.cert) (not $sm.tlsConfig.certFile) (not $admin.open_metrics) -}}
{{- fail "serviceMonitor.authorization: is required: workers tell their metrics for a token. Set config.admin.read_token_file (or _env) and name its Secret here, or set config.admin.open_metrics" -}}
{{- end -}}
{{- range $part := list "nats" "redis" -}}
{{- if regexMatch "://[^/?#@]*:[^/?#@]+@" (default "" (default (dict) (get $.Values.config $part)).url) -}}{{- fail (printf "config.%s.url: %s" $part $no) -}}{{- end -}}
{{- end -}}
{{- if and .Values.keda.enabled (gt (int .Values.keda.minReplicas) (int .Values.keda.maxReplicas)) -}}
{{- fail (printf "keda.minReplicas: is %d, must not be above maxReplicas (%d)" (int .Values.keda.minReplicas) (int .Values.keda.maxReplicas)) -}}
{{- end -}}
{{- if (default (dict) .Values.config.worker).id -}}{{- fail "config.worker.id: all pods would have the same; leave it out" -}}{{- end -}}
{{- end -}}

{{/* Every password_env of the configuration must be given to the container, and every file below /run/secrets. */}}
{{- define "shortwire.checkSecrets" -}}
{{- $given := keys .Values.secretEnv -}}
{{- range .Values.extraEnv -}}{{- $given = append $given .name -}}{{- end -}}
{{- $asked := dict -}}
{{- range $part := list "nats" "redis" "admin" "privacy" -}}
{{- range $key, $value := (default (dict) (get $.Values.config $part)) -}}
{{- if and $value (hasSuffix "_env" $key) -}}{{- $_ := set $asked (printf "config.%s.%s" $part $key) $value -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $i, $route := .Values.config.routes -}}
{{- if $route.password_env -}}{{- $_ := set $asked (printf "config.routes[%d].password_env" $i) $route.password_env -}}{{- end -}}
{{- end -}}
{{- range $path, $name := $asked -}}
{{- if not (has $name $given) -}}
{{- fail (printf "%s: %s is neither in secretEnv nor in extraEnv" $path $name) -}}
{{- end -}}
{{- end -}}
{{- range $file := regexFindAll "/run/secrets/[^\\s,\"'}]+" (toYaml .Values.config) -1 -}}
{{- $name := regexReplaceAll "^/run/secrets/([^/]+).*$" $file "${1}" -}}
{{- $mounted := hasKey $.Values.secretFiles $name -}}
{{- range $.Values.extraVolumeMounts -}}{{- if hasPrefix (trimSuffix "/" .mountPath) $file -}}{{- $mounted = true -}}{{- end -}}{{- end -}}
{{- if not $mounted -}}
{{- fail (printf "config names %s: %s is not in secretFiles, and no extraVolumeMounts have it" $file $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "shortwire.env" -}}
{{- range $name, $from := .Values.secretEnv }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.secret }}
      key: {{ $from.key }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "shortwire.volumeMounts" -}}
- name: config
  mountPath: /etc/shortwire
  readOnly: true
{{- range $name, $from := .Values.secretFiles }}
- name: secret-{{ $name }}
  mountPath: /run/secrets/{{ $name }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Call with (list . NAME) of the ConfigMap. Never subPath: changed files must show in the pod. */}}
{{- define "shortwire.volumes" -}}
{{- $ := index . 0 -}}
- name: config
  configMap:
    name: {{ index . 1 }}
{{- range $name, $from := $.Values.secretFiles }}
- name: secret-{{ $name }}
  secret:
    secretName: {{ $from.secret }}
    defaultMode: 0440
{{- end }}
{{- with $.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "shortwire.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "shortwire.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Ports of URLs and addresses, comma-separated, without repeats. Call with (dict "from" LIST "default" PORT). Those of WebSockets are the Web's. */}}
{{- define "shortwire.ports" -}}
{{- $ports := list -}}
{{- range .from -}}
{{- $default := $.default -}}
{{- if hasPrefix "ws://" . -}}{{- $default = "80" -}}{{- else if hasPrefix "wss://" . -}}{{- $default = "443" -}}{{- end -}}
{{- range splitList "," . -}}
{{- $host := regexReplaceAll "^[a-z+]+://" (trim .) "" | regexFind "^[^/?]*" -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
{{- $ports = append $ports (default $default $port) -}}
{{- end -}}
{{- range regexFindAll "addr=[^&]*" . -1 -}}
{{- $ports = append $ports (default $default (regexFind ":[0-9]+$" . | trimPrefix ":")) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | join "," -}}
{{- end -}}

{{/* One rule of egress. Call with (dict "to" PEERS "ports" PORTS "derived" CSV). */}}
{{- define "shortwire.egress" -}}
{{- $ports := .ports -}}
{{- if not $ports -}}{{- $ports = splitList "," .derived -}}{{- end -}}
- ports:
{{- range $ports }}
    - {protocol: TCP, port: {{ int . }}}
{{- end }}
{{- with .to }}
  to:
{{ toYaml . | indent 4 }}
{{- end }}
{{- end -}}
