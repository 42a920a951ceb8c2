//go:build unix

package rabbitnode

import (
	"context"
	"fmt"
	"os"
)

// URLVar is the environment variable with the URL of a RabbitMQ that tests may
// use: they make and remove queues and exchanges of their own there.
const URLVar = "OCCAMY_AMQP_URL"

// StandardURL is where a RabbitMQ answers that was installed and not
// configured.
const StandardURL = "amqp://guest:guest@127.0.0.1:5672/"

// A Service is a RabbitMQ that belongs to somebody else, or else a node of its
// own.
type Service struct {
	URL  string
	node *Node
}

// Use gives the RabbitMQ that URLVar names, and starts a node where the
// variable is empty. That what it names does not answer is an error: a test that
// was pointed at a broker must not pass without it.
func Use(ctx context.Context) (*Service, error) {
	if u := os.Getenv(URLVar); u != "" {
		if err := Answers(ctx, u); err != nil {
			return nil, fmt.Errorf("the RabbitMQ of %s: %w", URLVar, err)
		}
		return &Service{URL: u}, nil
	}
	n, err := Start(ctx, Config{})
	if err != nil {
		return nil, err
	}
	return &Service{URL: n.URL(), node: n}, nil
}

// Close ends the node, where there is one.
func (s *Service) Close() error {
	if s.node == nil {
		return nil
	}
	return s.node.Close()
}
