//go:build unix

package rabbitnode

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
)

// A mapper is Erlang's port mapper, by which the nodes of a cluster find each
// other. Left to itself, a node starts one that listens on every interface and
// outlives it.
type mapper struct {
	*process
	port int
}

func startMapper(ctx context.Context, program, dir string) (*mapper, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-address", "127.0.0.1", "-port", strconv.Itoa(port))
	cmd.Dir, cmd.Env = dir, []string{}
	p, err := start("epmd", filepath.Join(dir, "epmd.log"), cmd)
	if err != nil {
		return nil, err
	}
	err = p.until(ctx, "it answers", func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", loopback(port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		_ = p.kill()
		return nil, err
	}
	return &mapper{process: p, port: port}, nil
}
