//go:build unix

package rabbitnode

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below those that Linux gives to outgoing connections
// (from 32768): a node that is down gets its own back, and no client that knocks
// meanwhile connects to itself.
const lowestPort, highestPort = 10000, 32000

// FreePort gives a port that was free on the loopback address a moment ago.
func FreePort() (int, error) {
	var errs []error
	for range 100 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port: %w", errors.Join(errs...))
}

func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for len(ports) < n {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
