//go:build race

package main

// memoryFactor is how much more memory a program takes under the race detector:
// 5 to 10 times as much, as go.dev/doc/articles/race_detector says.
const memoryFactor = 5
