package client_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

func TestCheckKind(t *testing.T) {
	a, b := occamy.Snapshot{Kinds: []string{"x", "y"}}, occamy.Snapshot{Kinds: []string{"y", "z"}}
	for _, tc := range []struct {
		name    string
		servers []occamy.Snapshot
		knowing int
		unknown bool
	}{
		{"one server knows it", []occamy.Snapshot{a, {Kinds: []string{"k"}}}, 1, false},
		{"nobody answers", nil, 0, false},
		{"those who answer do not know it", []occamy.Snapshot{a, b}, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			knowing, err := client.New(&fake{servers: tc.servers}).CheckKind(t.Context(), "k", 0)
			if knowing != tc.knowing {
				t.Errorf("%d servers know it, want %d", knowing, tc.knowing)
			}
			if !tc.unknown {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var unknown *client.UnknownKindError
			if !errors.Is(err, occamy.ErrUnknownKind) || !errors.As(err, &unknown) {
				t.Fatalf("CheckKind gives %v, want an UnknownKindError", err)
			}
			if want := []string{"x", "y", "z"}; !slices.Equal(unknown.Known, want) {
				t.Errorf("known kinds %v, want %v", unknown.Known, want)
			}
		})
	}
}

func TestErrorsOfTheBrokerPass(t *testing.T) {
	c := client.New(&fake{err: broker.ErrNotFound})
	_, servers := c.Servers(t.Context(), 0)
	_, queues := c.Queues(t.Context())
	_, letters := c.DeadLetters(t.Context(), 0)
	_, letter := c.DeadLetter(t.Context(), "x")
	_, kind := c.CheckKind(t.Context(), "k", 0)
	for name, err := range map[string]error{
		"Servers": servers, "Queues": queues, "DeadLetters": letters, "DeadLetter": letter,
		"Retry": c.Retry(t.Context(), "x"), "CheckKind": kind,
	} {
		if !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("%s gives %v, want what the broker gave", name, err)
		}
	}
}
