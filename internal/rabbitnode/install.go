//go:build unix

package rabbitnode

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNotInstalled is what Start and StartCluster return where there is no
// RabbitMQ to start; its text says what to install.
var ErrNotInstalled = errors.New(`no RabbitMQ is installed here: "apt-get install rabbitmq-server" on Debian and Ubuntu, or set ` + SbinVar + " to the folder with rabbitmq-server")

// SbinVar is the environment variable that names the folder with the scripts of
// a RabbitMQ that stands in none of the usual places.
const SbinVar = "OCCAMY_RABBITMQ_SBIN"

// debianSbin has the scripts that need no root, unlike those of the same name
// in /usr/sbin.
const debianSbin = "/usr/lib/rabbitmq/bin"

// An installation is where the programs are.
type installation struct {
	sbin string // has rabbitmq-server and rabbitmqctl
	epmd string // Erlang's port mapper
}

func find() (installation, error) {
	sbin, err := findSbin()
	if err != nil {
		return installation{}, err
	}
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		return installation{}, fmt.Errorf("RabbitMQ is installed, but Erlang's port mapper is not on PATH: %w", err)
	}
	return installation{sbin: sbin, epmd: epmd}, nil
}

func findSbin() (string, error) {
	if dir := os.Getenv(SbinVar); dir != "" {
		if !executable(filepath.Join(dir, "rabbitmq-server")) {
			return "", fmt.Errorf("%s names a folder without a rabbitmq-server: %w", SbinVar, ErrNotInstalled)
		}
		return dir, nil
	}
	if executable(filepath.Join(debianSbin, "rabbitmq-server")) {
		return debianSbin, nil
	}
	found, err := exec.LookPath("rabbitmq-server")
	if err != nil {
		return "", ErrNotInstalled
	}
	return filepath.Dir(found), nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}
