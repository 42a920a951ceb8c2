//go:build race

package brokertest

// floodOf is how many optional requests are a flood; the race detector makes
// each some ten times as slow.
const floodOf = 10_000
