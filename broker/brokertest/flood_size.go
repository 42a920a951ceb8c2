//go:build !race

package brokertest

// floodOf is how many optional requests are a flood.
const floodOf = 100_000
