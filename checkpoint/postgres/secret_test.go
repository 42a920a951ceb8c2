package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy/checkpoint"
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

// A password may be a word that errors have in them anyway.
func TestAHiddenPasswordLeavesTheErrorWhatItIs(t *testing.T) {
	err := fmt.Errorf("%w: %w", checkpoint.ErrNotFound, context.DeadlineExceeded)
	for _, password := range []string{"checkpoint", "n", "deadline"} {
		scrubbed := postgres.Scrub(err, password)
		if strings.Contains(scrubbed.Error(), password+" ") || strings.Contains(scrubbed.Error(), password+":") {
			t.Errorf("%q is shown: %v", password, scrubbed)
		}
		for _, is := range []error{checkpoint.ErrNotFound, context.DeadlineExceeded} {
			if !errors.Is(scrubbed, is) {
				t.Errorf("with the password %q, %v is not %v", password, scrubbed, is)
			}
		}
	}
}
