//go:build !race

package main

// memoryFactor: see memory_race_test.go.
const memoryFactor = 1
