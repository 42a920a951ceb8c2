package slots

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMistakes makes each mistake in a copy of the source, and runs the
// scenarios, the comparison with the dumb table and the smallest walk against
// it: some of them must fail, and none without a mistake.
func TestMistakes(t *testing.T) {
	made := mistakes
	if testing.Short() || fewMistakes {
		made = mistakes[:3]
	}
	if out, err := testWith(t.TempDir(), mistake{}); err != nil {
		t.Fatalf("without a mistake: %v\n%s", err, out)
	}
	caught := make([]string, len(made))
	var all sync.WaitGroup
	next := make(chan int)
	for range 2 {
		dir := t.TempDir()
		all.Go(func() {
			for i := range next {
				out, err := testWith(dir, made[i])
				caught[i] = whoFailed(out, err)
			}
		})
	}
	for i := range made {
		next <- i
	}
	close(next)
	all.Wait()
	for i, m := range made {
		if caught[i] == "" {
			t.Errorf("%s (%s): nobody noticed", m.name, m.file)
			continue
		}
		t.Logf("%-60s %s", m.name, caught[i])
	}
}

// testWith runs the tests with a mistake in the source, by way of an overlay.
func testWith(dir string, m mistake) (string, error) {
	overlay := map[string]map[string]string{"Replace": {}}
	if m.file != "" {
		source, err := filepath.Abs(m.file)
		if err != nil {
			return "", err
		}
		text, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), m.text); n != 1 {
			return "", fmt.Errorf("%s has %d times %q", m.file, n, m.text)
		}
		wrong := filepath.Join(dir, "wrong.go")
		changed := strings.Replace(string(text), m.text, m.instead, 1)
		if err := os.WriteFile(wrong, []byte(changed), 0o666); err != nil {
			return "", err
		}
		overlay["Replace"][source] = wrong
	}
	file := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file, text, 0o666); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "test", "-overlay", file, "-vet=off", "-count=1", "-short", "-ldflags=-s -w",
		"-timeout=60s", "-run=^(TestR[0-9].*|TestOracle|TestWalk)$/^(r[0-9].*|part.*|small)$", ".").CombinedOutput()
	return string(out), err
}

var failure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^(panic: .*)|(\[build failed\])`)

// whoFailed lists the tests that failed, "" when none did or none was run.
func whoFailed(out string, err error) string {
	if err == nil {
		return ""
	}
	var who []string
	for _, m := range failure.FindAllStringSubmatch(out, -1) {
		name, _, _ := strings.Cut(filepath.Base(m[1]+m[2]), " ")
		switch {
		case m[3] != "":
			return ""
		case m[2] != "":
			name = "panic"
		case strings.HasPrefix(m[1], "TestR"):
			if !strings.Contains(m[1], "/") {
				continue
			}
		case strings.Contains(m[1], "/"):
			continue
		}
		if !slices.Contains(who, name) {
			who = append(who, name)
		}
	}
	return strings.Join(who, " ")
}
