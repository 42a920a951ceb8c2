//go:build race

package slots

const (
	randomScripts  = 400
	canonOptionals = 0
	fewMistakes    = true
	smallWalk      = true
)
