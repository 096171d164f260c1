// Package check holds the tests of what is in deploy: the Helm chart, the
// compose file, the rules, the dashboard and the systemd unit. It is a module
// of its own, so that Helm, Kubernetes and Compose stay out of the worker's.
// `make deploy-check` runs it.
package check
