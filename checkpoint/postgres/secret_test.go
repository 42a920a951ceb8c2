package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy/checkpoint/postgres"
)

// No PostgreSQL is needed to see what errors show.
func TestNoErrorShowsThePassword(t *testing.T) {
	const secret = "hunter2"
	for _, address := range []string{
		"postgres://me:" + secret + "@127.0.0.1:1/db",
		"postgres://me:" + secret + "@127.0.0.1:port/db",
		"postgres://me:" + secret + "@[::1",
		"postgres://127.0.0.1:1/db?password=" + secret + "&sslmode=what",
		"host=127.0.0.1 port=1 user=me password=" + secret,
		"host=127.0.0.1 password='" + secret,
		secret,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		s, err := postgres.Open(ctx, address, postgres.Options{})
		cancel()
		if err == nil {
			s.Close()
			t.Fatalf("%s is taken", address)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), secret) {
				t.Errorf("%s: %v", address, e)
			}
		}
	}
}
