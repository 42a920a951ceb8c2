//go:build unix && services

package assist_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/internal/rabbitnode"
)

func TestOnRabbitMQ(t *testing.T) { runOn(t, onRabbitMQ) }

func onRabbitMQ(t *testing.T) place {
	t.Helper()
	s, err := rabbitnode.Use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	const most = 4 << 20
	prefix := "assist-" + strings.ToLower(rand.Text()[:8])
	return place{func(t *testing.T) broker.Broker {
		t.Helper()
		b, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: s.URL, Prefix: prefix, MaxPayload: most})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}, most}
}
