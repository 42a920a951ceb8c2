package occamy_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/occamy-go/occamy"

// What a user of the library takes on is decided here: the core stands on the
// standard library alone, and what surrounds it imports it, never the reverse.
func TestLayering(t *testing.T) {
	for _, layer := range []struct {
		pkg   string
		reach []string // packages of this module
	}{
		{pkg: module + "/internal/slots"},
		{pkg: module, reach: []string{module + "/internal/slots"}},
		{pkg: module + "/broker", reach: []string{module, module + "/internal/slots"}},
		{pkg: module + "/checkpoint", reach: []string{module, module + "/internal/slots"}},
	} {
		t.Run(strings.TrimPrefix(layer.pkg, module), func(t *testing.T) {
			for _, dep := range dependencies(t, layer.pkg) {
				switch {
				case dep.Standard, dep.ImportPath == layer.pkg, slices.Contains(layer.reach, dep.ImportPath):
				default:
					t.Errorf("%s depends on %s; want the standard library and %v alone", layer.pkg, dep.ImportPath, layer.reach)
				}
			}
		})
	}
}

type dependency struct {
	ImportPath string
	Standard   bool
}

// dependencies lists all that a package reaches, itself included.
func dependencies(t *testing.T, pkg string) []dependency {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard", pkg).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list %s: %v\n%s", pkg, err, exit.Stderr)
		}
		t.Fatalf("go list %s: %v", pkg, err)
	}
	var deps []dependency
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var dep dependency
		if err := d.Decode(&dep); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("output of go list: %v", err)
		}
		deps = append(deps, dep)
	}
	if len(deps) < 2 {
		t.Fatalf("go list -deps %s names %d packages; want the package and what it imports", pkg, len(deps))
	}
	return deps
}
