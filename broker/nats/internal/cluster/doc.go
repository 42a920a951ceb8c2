// Package cluster holds the tests of package nats against a cluster of NATS
// servers. They stand apart from those against one server so that both run at
// the same time.
package cluster
