//go:build unix && services

package proof

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/occamy-go/occamy/internal/rabbitnode"
)

func TestMastersAreKilledOnRabbitMQ(t *testing.T) {
	s, err := rabbitnode.Use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	killMasters(t, order{Broker: "rabbitmq", URL: s.URL, Prefix: "proof-" + strings.ToLower(rand.Text()[:8]), Dir: t.TempDir()}, (*kills+4)/5)
}
