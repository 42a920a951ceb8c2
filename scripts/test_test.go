//go:build unix

// Package scripts tests what the scripts decide.
package scripts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A machine is what scripts/test finds, in programs that only note how they are
// called.
type machine struct {
	root      bool
	installed bool // the package rabbitmq-server
	postgres  bool // the package postgresql
	service   bool // a RabbitMQ answers
	docker    bool // an engine answers
	aptFails  bool
	testsFail bool
	policy    string // the file by which packages know whether to start services; empty: none
	env       string
}

// fakes are the programs. They know the machine by files in the folder $M.
var fakes = map[string]string{
	"id":          `[ -e "$M/root" ] && echo 0 || echo 1000`,
	"docker":      `[ -e "$M/docker" ] || exit 1`,
	"update-rc.d": ``,
	"systemctl":   ``,
	"apt-get": `[ "$1" = update ] && exit
[ -e "$M/apt-fails" ] && exit 100
echo "policy during the installation: $(tail -n 1 "$M/policy-rc.d")" >> "$M/calls"
cat "$M"/createcluster.d/* >> "$M/calls" 2>/dev/null
for p; do case $p in
rabbitmq-server) touch "$M/sbin/rabbitmq-server"; chmod +x "$M/sbin/rabbitmq-server" ;;
postgresql) touch "$M/pgbin/initdb"; chmod +x "$M/pgbin/initdb" ;;
esac; done`,
	"go": `case $1 in
build) printf '#!/bin/sh\n[ "$1" = -find ] && { [ -e "$M/service" ]; exit; }\necho "with-rabbitmq" >> "$M/calls"\nexec "$@"\n' > bin/with-rabbitmq; chmod +x bin/with-rabbitmq ;;
test) [ ! -e "$M/tests-fail" ] ;;
esac`,
}

// tree is what the script runs in.
var tree = map[string]string{
	"go.mod":              "module example\n\ngo 1.26.0\n",
	"a/plain_test.go":     "package a\n\nfunc TestPlain(t *testing.T) {}\n",
	"b/shared_test.go":    "//go:build services\n\npackage b\n\nfunc TestShared(t *testing.T) {}\nfunc ExampleShared() {}\n",
	"b/own_test.go":       "//go:build services && !nonodes\n\npackage b\n\nfunc TestOwn(t *testing.T) {}\n",
	"c/table_test.go":     "//go:build unix && postgres\n\npackage c\n\nfunc TestTable(t *testing.T) {}\n",
	"chaos/other_test.go": "//go:build services\n\npackage chaos\n\nfunc TestOfAnotherModule(t *testing.T) {}\n",
}

func TestDecisions(t *testing.T) {
	const (
		all  = "-v ./..."
		rest = "NOT TESTED: what needs a RabbitMQ"
		own  = "NOT TESTED: what starts RabbitMQ nodes of its own"
		pg   = "NOT TESTED: what needs a PostgreSQL"
	)
	for _, c := range []struct {
		name   string
		on     machine
		args   string
		calls  []string // in this order, among others
		never  string   // no call has this
		says   []string
		silent string // what it does not say
		status int
	}{
		{
			name: "the package is here", on: machine{postgres: true, installed: true},
			calls: []string{"with-rabbitmq", "go test -tags services,postgres " + all}, never: "apt-get", silent: "NOT TESTED",
		},
		{
			name: "packages in place of all", on: machine{postgres: true, installed: true}, args: "-race ./b",
			calls: []string{"go test -tags services,postgres -race ./b"}, never: "./...",
		},
		{
			name: "tests fail", on: machine{postgres: true, installed: true, testsFail: true}, status: 1,
			calls: []string{"go test -tags services,postgres " + all},
		},
		{
			name: "root installs, and no service starts", on: machine{postgres: true, root: true},
			calls: []string{
				"apt-get update", "policy during the installation: exit 101", "update-rc.d rabbitmq-server disable",
				"with-rabbitmq", "go test -tags services,postgres " + all,
			},
			silent: "NOT TESTED",
		},
		{
			name: "root installs, though a RabbitMQ answers: some tests need nodes", on: machine{postgres: true, root: true, service: true},
			calls: []string{"apt-get install", "with-rabbitmq", "go test -tags services,postgres " + all}, silent: "NOT TESTED",
		},
		{
			name: "root installs under the policy of the machine", on: machine{postgres: true, root: true, policy: "exit 104"},
			calls: []string{"policy during the installation: exit 104", "go test -tags services,postgres " + all},
		},
		{
			name: "the installation fails", on: machine{postgres: true, root: true, aptFails: true}, status: 3,
			calls: []string{"go test -tags postgres " + all}, never: "services", says: []string{"apt-get has failed (status 100)", rest},
		},
		{
			name: "no root, a RabbitMQ answers", on: machine{postgres: true, service: true, docker: true}, status: 3,
			calls: []string{"with-rabbitmq", "go test -tags services,nonodes,postgres " + all}, never: "docker run",
			says: []string{own, "b/own_test.go: TestOwn"}, silent: "TestShared",
		},
		{
			name: "no root, a RabbitMQ answers, skips allowed", on: machine{postgres: true, service: true, env: "ALLOW_SKIP=1"},
			calls: []string{"go test -tags services,nonodes,postgres " + all}, says: []string{own},
		},
		{
			name: "no root, Docker", on: machine{postgres: true, docker: true},
			calls: []string{"docker run --rm", "golang:1.26-bookworm", "scripts/test", " " + all}, never: "go test", silent: "NOT TESTED",
		},
		{
			name: "nothing but a PostgreSQL", on: machine{postgres: true}, status: 3,
			calls: []string{"go test -tags postgres " + all}, never: "services",
			says:   []string{rest, "b/own_test.go: TestOwn", "b/shared_test.go: TestShared ExampleShared", "ALLOW_SKIP=1", "apt-get install rabbitmq-server"},
			silent: "TestOfAnotherModule",
		},
		{
			name: "no PostgreSQL: root installs, and no service starts and no cluster is made", on: machine{root: true, installed: true},
			calls: []string{
				"apt-get install", "postgresql", "policy during the installation: exit 101", "create_main_cluster = false",
				"with-rabbitmq", "go test -tags services,postgres " + all,
			},
			never: "update-rc.d", silent: "NOT TESTED",
		},
		{
			name: "root installs both", on: machine{root: true},
			calls: []string{"apt-get install", "rabbitmq-server postgresql", "go test -tags services,postgres " + all}, silent: "NOT TESTED",
		},
		{
			name: "no PostgreSQL, no root, Docker", on: machine{installed: true, docker: true},
			calls: []string{"docker run --rm"}, never: "go test", silent: "NOT TESTED",
		},
		{
			name: "no PostgreSQL, no root", on: machine{installed: true}, status: 3,
			calls: []string{"with-rabbitmq", "go test -tags services " + all}, never: "postgres",
			says: []string{pg, "c/table_test.go: TestTable", "apt-get install postgresql"}, silent: "RabbitMQ",
		},
		{
			name: "no PostgreSQL, skips allowed", on: machine{installed: true, env: "ALLOW_SKIP=1"},
			calls: []string{"go test -tags services " + all}, says: []string{pg},
		},
		{
			name: "a PostgreSQL elsewhere", on: machine{installed: true, env: "OCCAMY_POSTGRES_URL=postgres://elsewhere"},
			calls: []string{"go test -tags services,postgres " + all}, silent: "NOT TESTED",
		},
		{
			name: "nothing", status: 3,
			calls: []string{"go test " + all}, never: "-tags", says: []string{rest, pg, "TestShared", "TestTable"},
		},
		{
			name: "nothing, skips allowed", on: machine{postgres: true, env: "ALLOW_SKIP=1"},
			calls: []string{"go test -tags postgres " + all}, says: []string{rest},
		},
		{
			name: "nothing, skips allowed, and tests fail", on: machine{postgres: true, testsFail: true, env: "ALLOW_SKIP=1"}, status: 1,
			calls: []string{"go test -tags postgres " + all}, says: []string{rest},
		},
		{
			name: "nothing, any other ALLOW_SKIP", on: machine{postgres: true, env: "ALLOW_SKIP=0"}, status: 3,
			calls: []string{"go test -tags postgres " + all}, says: []string{rest},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.args == "" {
				c.args = "-v"
			}
			dir := c.on.build(t)
			said, status := runTestScript(t, dir, c.on.env, strings.Fields(c.args)...)
			if status != c.status {
				t.Errorf("status %d; want %d", status, c.status)
			}
			calls := read(t, filepath.Join(dir, "calls"))
			left := calls
			for _, want := range c.calls {
				_, after, found := strings.Cut(left, want)
				if !found {
					t.Errorf("no %q, or not in this order", want)
				}
				left = after
			}
			if c.never != "" && strings.Contains(calls, c.never) {
				t.Errorf("%q is called", c.never)
			}
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if c.silent != "" && strings.Contains(said, c.silent) {
				t.Errorf("it says %q", c.silent)
			}
			policy, err := os.ReadFile(filepath.Join(dir, "policy-rc.d"))
			if got := string(policy); got != c.on.policy || os.IsNotExist(err) != (c.on.policy == "") {
				t.Errorf("the policy file is %q in the end (%v); want it as it was, %q", got, err, c.on.policy)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "createcluster.d", "*")); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
			if t.Failed() {
				t.Logf("calls:\n%s\nsaid:\n%s", calls, said)
			}
		})
	}
}

// build makes the machine: programs in bin, the tree with the script in tree.
func (m machine) build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, is := range map[string]bool{
		"root": m.root, "service": m.service, "docker": m.docker, "apt-fails": m.aptFails,
		"tests-fail": m.testsFail, "sbin/rabbitmq-server": m.installed, "sbin/other": true,
		"pgbin/initdb": m.postgres, "pgbin/other": true,
	} {
		if is {
			write(t, filepath.Join(dir, name), "")
		}
	}
	if m.policy != "" {
		write(t, filepath.Join(dir, "policy-rc.d"), m.policy)
	}
	for name, text := range fakes {
		write(t, filepath.Join(dir, "bin", name), "#!/bin/sh\necho \""+name+" $*\" >> \"$M/calls\"\n"+text+"\n")
	}
	for name, text := range tree {
		write(t, filepath.Join(dir, "tree", name), text)
	}
	script := strings.NewReplacer(
		"/usr/sbin/policy-rc.d", filepath.Join(dir, "policy-rc.d"),
		"/etc/postgresql-common/createcluster.d", filepath.Join(dir, "createcluster.d"),
	).Replace(read(t, "test"))
	write(t, filepath.Join(dir, "tree/scripts/test"), script)
	return dir
}

func runTestScript(t *testing.T, dir, env string, args ...string) (said string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "tree/scripts/test"), args...)
	cmd.Env = []string{
		"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin",
		"M=" + dir,
		"OCCAMY_RABBITMQ_SBIN=" + filepath.Join(dir, "sbin"),
		"OCCAMY_POSTGRES_BIN=" + filepath.Join(dir, "pgbin"),
		env,
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
