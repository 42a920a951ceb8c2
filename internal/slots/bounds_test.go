//go:build !race

package slots

// How far the tests go; see bounds_race_test.go for the race detector's.
const (
	randomScripts  = 8000
	canonOptionals = 1
	fewMistakes    = false
	smallWalk      = false
)
