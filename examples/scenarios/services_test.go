//go:build services

package main

import (
	"testing"

	"github.com/occamy-go/occamy/internal/rabbitnode"
)

func TestBothScenariosOverRabbitMQ(t *testing.T) {
	s, err := rabbitnode.Use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	play(t, s.URL)
}
