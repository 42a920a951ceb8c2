package nats_test

import (
	"context"
	"strings"
	"testing"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

func TestALostConnectionIsTold(t *testing.T) {
	s, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Port: embedded.AnyPort})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 16)
	b, err := nats.Open(within(t), nats.Config{URL: s.URL(), OnError: func(err error) {
		select {
		case told <- err:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-told:
		if !strings.Contains(err.Error(), "lost; trying again") {
			t.Errorf("told %v", err)
		}
	case <-within(t).Done():
		t.Fatal("nobody was told")
	}
}
