//go:build unix

package rabbitnode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Node is a RabbitMQ node of one's own. Its methods may be called from
// several goroutines; those that start or end it wait for each other.
type Node struct {
	name    string // with the host, as RabbitMQ writes it
	dir     string
	tempDir bool
	env     []string
	install installation
	port    int
	tlsPort int // 0: no listener for amqps

	mapper    *mapper
	ownMapper bool // else it belongs to the cluster

	mu      sync.Mutex
	process *process // guarded by mu
}

// Start starts a node, and returns when it takes logins: about 5 s on an idle
// machine. The node is the caller's to Close, also after Kill and Stop. When ctx
// ends first, nothing is left behind.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	in, err := find()
	if err != nil {
		return nil, err
	}
	n, err := prepare(in, cfg, "node1", rand.Text())
	if err != nil {
		return nil, err
	}
	n.ownMapper = true
	if n.mapper, err = startMapper(ctx, in.epmd, n.dir); err == nil {
		err = n.Restart(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// prepare writes what a node needs in order to start.
func prepare(in installation, cfg Config, name, cookie string) (_ *Node, err error) {
	n := &Node{name: name + "@localhost", dir: cfg.Dir, install: in}
	if n.dir == "" {
		if n.dir, err = os.MkdirTemp("", "rabbitnode-"); err != nil {
			return nil, err
		}
		n.tempDir = true
		defer func() {
			if err != nil {
				err = errors.Join(err, os.RemoveAll(n.dir))
			}
		}()
	} else if n.dir, err = filepath.Abs(n.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(n.path("home"), 0o700); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	n.port = ports[0]
	if cfg.TLS != nil {
		n.tlsPort = ports[2]
	}
	for _, f := range []struct{ path, text string }{
		{"rabbitmq.conf", strings.Join(cfg.lines(n.port, n.tlsPort), "\n") + "\n"},
		{"enabled_plugins", cfg.plugins()},
		{"advanced.config", "[].\n"},
		{"env.conf", ""},
		{"home/.erlang.cookie", cookie},
	} {
		_ = os.Remove(n.path(f.path)) // the cookie cannot be written over
		mode := os.FileMode(0o600)
		if f.path == "home/.erlang.cookie" {
			mode = 0o400
		}
		if err := os.WriteFile(n.path(f.path), []byte(f.text), mode); err != nil {
			return nil, err
		}
	}
	const onLoopback = "-kernel inet_dist_use_interface {127,0,0,1}"
	n.env = []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"HOME=" + n.path("home"),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_CRASH_DUMP_SECONDS=0",
		"RUNNING_UNDER_SYSTEMD=true", // has the script become the server, not wait for it
		"RABBITMQ_NODENAME=" + n.name,
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(ports[1]),
		"RABBITMQ_MNESIA_BASE=" + n.path("data"),
		"RABBITMQ_LOG_BASE=" + n.path("log"),
		"RABBITMQ_CONFIG_FILE=" + n.path("rabbitmq"),
		"RABBITMQ_CONFIG_FILES=" + n.path("conf.d"),
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + n.path("advanced.config"),
		"RABBITMQ_CONF_ENV_FILE=" + n.path("env.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + n.path("enabled_plugins"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-start_epmd false " + onLoopback,
		"RABBITMQ_CTL_ERL_ARGS=-start_epmd false " + onLoopback,
	}
	return n, nil
}

func (n *Node) path(name string) string { return filepath.Join(n.dir, name) }

// Name is the node's name, as RabbitMQ writes it.
func (n *Node) Name() string { return n.name }

// URL is where the node takes connections, with the login of guest. It stays
// the same over restarts.
func (n *Node) URL() string { return n.at("amqp", n.port) }

// TLSURL is the URL for amqps; empty without a TLS of the Config.
func (n *Node) TLSURL() string {
	if n.tlsPort == 0 {
		return ""
	}
	return n.at("amqps", n.tlsPort)
}

func (n *Node) at(scheme string, port int) string {
	u := url.URL{Scheme: scheme, User: url.UserPassword("guest", "guest"), Host: loopback(port), Path: "/"}
	return u.String()
}

// Addr is the host and port of URL.
func (n *Node) Addr() string { return loopback(n.port) }

// Pid is the process that is the node; 0 when it does not run.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.process.running() {
		return 0
	}
	return n.process.cmd.Process.Pid
}

// Kill ends the node with SIGKILL, as a crash would, and returns when it is
// gone. Its data stays. A node that does not run is left as it is.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process.kill()
}

// Stop ends the node in the orderly way, and by a kill when it has not ended
// with ctx; that is an error. Its data stays.
func (n *Node) Stop(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process.stop(ctx)
}

// Restart starts the node on the data and the ports that it had, after it has
// stopped it in the orderly way where it runs. It returns when the node takes
// logins.
func (n *Node) Restart(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.process.stop(ctx); err != nil {
		return err
	}
	if err := n.launch(); err != nil {
		return err
	}
	err := n.process.until(ctx, "it takes logins", func(ctx context.Context) error { return Answers(ctx, n.URL()) })
	if err != nil {
		return errors.Join(err, n.process.kill())
	}
	return nil
}

// launch starts the process, and does not wait until it answers. Under mu.
func (n *Node) launch() error {
	cmd := exec.Command(filepath.Join(n.install.sbin, "rabbitmq-server"))
	cmd.Dir, cmd.Env = n.dir, n.environ()
	var err error
	n.process, err = start("RabbitMQ node "+n.name, n.path("node.log"), cmd)
	return err
}

func (n *Node) environ() []string {
	return slices.Concat(n.env, []string{fmt.Sprintf("ERL_EPMD_PORT=%d", n.mapper.port)})
}

// Ctl runs rabbitmqctl on the node and gives what it prints:
// n.Ctl(ctx, "-q", "list_queues", "name", "messages").
func (n *Node) Ctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(n.install.sbin, "rabbitmqctl"), append([]string{"--node", n.name}, args...)...)
	cmd.Dir, cmd.Env = n.dir, n.environ()
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s%s", err, out, exit.Stderr)
		}
		return "", fmt.Errorf("rabbitmqctl %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// Close kills what still runs, and removes the directory where it is a
// temporary one. Once more does nothing.
func (n *Node) Close() error {
	err := n.Kill()
	if n.ownMapper && n.mapper != nil {
		err = errors.Join(err, n.mapper.kill())
	}
	if n.tempDir {
		err = errors.Join(err, os.RemoveAll(n.dir))
	}
	return err
}
