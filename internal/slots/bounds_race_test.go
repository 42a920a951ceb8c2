//go:build race

package slots

const (
	randomScripts = 400
)
