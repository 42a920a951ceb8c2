package check

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unit is what the unit file says, by key; a key that comes again has all values.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(read(t, deploy("systemd/occamy.service"))))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(key, "#") {
			all[key] = append(all[key], value)
		}
	}
	return all
}

// only is the value of a key that comes once.
func only(t *testing.T, unit map[string][]string, key string) string {
	t.Helper()
	if len(unit[key]) != 1 {
		t.Fatalf("the unit has %d %s", len(unit[key]), key)
	}
	return unit[key][0]
}

// TestSystemdTakesTheUnit has systemd read it in a tree that has the program and
// the units of this Debian.
func TestSystemdTakesTheUnit(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "usr/local/bin/occamy"), nil, 0o755)
	write(t, filepath.Join(dir, "etc/systemd/system/occamy.service"), read(t, deploy("systemd/occamy.service")), 0o644)
	if err := os.CopyFS(filepath.Join(dir, "usr/lib/systemd/system"), os.DirFS("/usr/lib/systemd/system")); err != nil {
		t.Fatal(err)
	}
	if said := tool(t, "systemd-analyze", "verify", "--man=no", "--root="+dir, "occamy.service"); said != "" {
		t.Error(said)
	}
}

func TestTheServiceCanDoLittleHarm(t *testing.T) {
	const most = "15" // tenths; of the services of a Debian few are below 90
	tool(t, "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+most, deploy("systemd/occamy.service"))
}

func TestSystemdWaitsForAStopInOrder(t *testing.T) {
	u := unit(t)
	args := strings.Fields(only(t, u, "ExecStart"))
	checkFlags(t, args[1:])
	grace := defaultGrace
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--grace="); ok {
			grace = duration(t, value)
		}
	}
	checkGrace(t, grace, defaultKill, defaultSettle, duration(t, only(t, u, "TimeoutStopSec")))
	if only(t, u, "KillSignal") != "SIGTERM" || only(t, u, "KillMode") != "mixed" {
		t.Error("serve and nobody else is to get a SIGTERM")
	}
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
