package routing

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed testdata/*.tsp
var files embed.FS

// bestKnown are the lengths that TSPLIB gives; all are proven to be optimal.
var bestKnown = map[string]int{
	"eil51":    426,
	"berlin52": 7542,
	"kroA100":  21282,
	"ch150":    6528,
	"a280":     2579,
	"pcb442":   50778,
}

// BestKnown returns the shortest length known for an instance of TSPLIB, and
// false for one that it does not know.
func BestKnown(name string) (int, bool) {
	length, ok := bestKnown[name]
	return length, ok
}

// Names returns the names of the instances that File has, sorted.
func Names() []string {
	paths, _ := fs.Glob(files, "testdata/*.tsp") // the pattern is good
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(path.Base(p), ".tsp")
	}
	return names
}

// File returns the file of an instance that this package carries, for the
// caller to keep; an error that wraps fs.ErrNotExist for any other.
func File(name string) ([]byte, error) {
	return files.ReadFile("testdata/" + name + ".tsp")
}
