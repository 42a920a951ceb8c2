package check

import (
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// What serve takes when nobody says otherwise.
const (
	defaultGrace  = 30 * time.Second
	defaultKill   = time.Second
	defaultSettle = 30 * time.Second
)

// margin is what serve needs beside: to see the signal and to close its files.
const margin = 10 * time.Second

// checkGrace checks that who stops serve waits until it has stopped in order, and
// not for much longer.
func checkGrace(t *testing.T, grace, kill, settle, waits time.Duration) {
	t.Helper()
	needs := grace + kill + settle + margin
	if waits < needs || waits > needs+30*time.Second {
		t.Errorf("a stop may take %v, which is to be waited for; it is for %v", needs, waits)
	}
}

var help struct {
	once  sync.Once
	flags map[string]bool
}

var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([\w-]+)`)

// checkFlags checks arguments, the first of them serve, against what
// 'occamy serve --help' lists.
func checkFlags(t *testing.T, args []string) {
	t.Helper()
	help.once.Do(func() {
		help.flags = map[string]bool{}
		for _, m := range flagLine.FindAllStringSubmatch(tool(t, filepath.Join(build(t), "out/occamy"), "serve", "--help"), -1) {
			help.flags[m[1]] = true
		}
	})
	if len(args) == 0 || args[0] != "serve" {
		t.Fatalf("%q is not occamy serve", args)
	}
	for _, arg := range args[1:] {
		name, _, hasValue := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !strings.HasPrefix(arg, "--") || !hasValue || !help.flags[name] {
			t.Errorf("occamy serve knows no %s", arg)
		}
	}
}
