// Package check holds deploy/ against the types and tools of those who will read
// it: Kubernetes' own decoder and validation, the schema that KEDA ships,
// prometheus-adapter, promtool, Prometheus' parser, BuildKit's, Grafana's types and
// systemd-analyze; and against the program: its flags, its metrics and how it runs
// with what the image has and nothing else.
//
// It is a module of its own, so that none of this enters a user's dependencies.
// scripts/deploy-check runs it, and installs the tools where they are missing.
package check
