package client_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

func TestSubmitPutsItsFieldsIntoHeaders(t *testing.T) {
	given := occamy.Headers{"colour": "blue", "Occamy-Priority": "9"}
	for _, tc := range []struct {
		name    string
		request client.Request
		want    occamy.Headers
	}{
		{"nothing but a kind",
			client.Request{Kind: "k"},
			occamy.Headers{"Occamy-Outcome": "true"}},
		{"limits",
			client.Request{Kind: "k", Timeout: 1500 * time.Millisecond, Deadline: time.Unix(1, 5).UTC()},
			occamy.Headers{"Occamy-Outcome": "true", "Occamy-Timeout": "1.5s", "Occamy-Deadline": "1970-01-01T00:00:01.000000005Z"}},
		{"headers pass, and fields win over them",
			client.Request{Kind: "k", Headers: given, Priority: -2},
			occamy.Headers{"Occamy-Outcome": "true", "colour": "blue", "Occamy-Priority": "-2"}},
		{"no outcome wanted",
			client.Request{Kind: "k", Headers: occamy.Headers{"Occamy-Outcome": "false"}},
			occamy.Headers{"Occamy-Outcome": "false"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got broker.Request
			c := client.New(&fake{submit: func(r broker.Request) error { got = r; return nil }})
			id, err := c.Submit(t.Context(), tc.request)
			if err != nil || id == "" || got.ID != id {
				t.Fatalf("Submit = %q, %v; the broker got %q", id, err, got.ID)
			}
			if !maps.Equal(got.Headers, tc.want) {
				t.Errorf("headers %v, want %v", got.Headers, tc.want)
			}
		})
	}
	if len(given) != 2 || given["Occamy-Priority"] != "9" {
		t.Errorf("the caller's headers were changed: %v", given)
	}
}

func TestSubmitUsesTheConfiguredHeaderKeys(t *testing.T) {
	var got broker.Request
	c := client.New(&fake{submit: func(r broker.Request) error { got = r; return nil }},
		client.WithHeaderKeys(occamy.HeaderKeys{Outcome: "x-outcome", Timeout: "x-timeout"}))
	if _, err := c.Submit(t.Context(), client.Request{Kind: "k", Timeout: time.Second, Priority: 1}); err != nil {
		t.Fatal(err)
	}
	want := occamy.Headers{"x-outcome": "true", "x-timeout": "1s", "Occamy-Priority": "1"}
	if !maps.Equal(got.Headers, want) {
		t.Errorf("headers %v, want %v", got.Headers, want)
	}
}

func TestSubmitRefusesWhatCannotBeARequest(t *testing.T) {
	c := client.New(&fake{}) // any call of the broker panics
	for name, r := range map[string]client.Request{
		"no kind":          {},
		"negative timeout": {Kind: "k", Timeout: -1},
		"bad ID":           {Kind: "k", ID: "a\nb"},
		"bad header":       {Kind: "k", Headers: occamy.Headers{"a b": "c"}},
	} {
		if _, err := c.Submit(t.Context(), r); !errors.Is(err, broker.ErrInvalid) {
			t.Errorf("%s: Submit gives %v, want broker.ErrInvalid", name, err)
		}
		if _, err := c.Message(r); !errors.Is(err, broker.ErrInvalid) {
			t.Errorf("%s: Message gives %v, want broker.ErrInvalid", name, err)
		}
		if _, err := c.SubmitAndWait(t.Context(), r, nil); !errors.Is(err, broker.ErrInvalid) {
			t.Errorf("%s: SubmitAndWait gives %v, want broker.ErrInvalid", name, err)
		}
	}
}

// A caller who does not know whether the broker took a request needs its ID to
// send it again.
func TestSubmitTellsTheIDWithTheError(t *testing.T) {
	c := client.New(&fake{submit: func(broker.Request) error { return occamy.ErrTooLarge }})
	id, err := c.Submit(t.Context(), client.Request{Kind: "k", ID: "mine"})
	if id != "mine" || !errors.Is(err, occamy.ErrTooLarge) {
		t.Errorf("Submit = %q, %v; want the ID and ErrTooLarge", id, err)
	}
}

func TestOptionalAsksForNoOutcome(t *testing.T) {
	var got broker.Request
	c := client.New(&fake{optional: func(r broker.Request) error { got = r; return nil }})
	m, err := c.Message(client.Request{Kind: "k", Priority: 2, Body: []byte("b")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Optional(t.Context(), m); err != nil || got.ID == "" || got.ID != m.ID {
		t.Errorf("Optional gives %v; the broker got %+v", err, got)
	}
	if want := (occamy.Headers{"Occamy-Priority": "2"}); !maps.Equal(got.Headers, want) {
		t.Errorf("headers %v, want %v", got.Headers, want)
	}
}

func TestIDsAreDistinctAndSortByTime(t *testing.T) {
	var ids []string
	seen := make(map[string]bool)
	for range 1000 {
		id := client.NewID()
		if len(id) != 26 || seen[id] {
			t.Fatalf("ID %q: want 26 characters, and never the same twice", id)
		}
		seen[id] = true
		ids = append(ids, id[:9]) // 45 of the 48 bits of the millisecond
	}
	if !slices.IsSorted(ids) {
		t.Error("IDs do not sort by time")
	}
}

type traceKey struct{}

func TestInjectAddsToTheHeadersOfEachRequest(t *testing.T) {
	var got []occamy.Headers
	keep := func(r broker.Request) error { got = append(got, r.Headers); return nil }
	c := client.New(&fake{submit: keep, optional: keep}, client.WithInject(func(ctx context.Context, h occamy.Headers) {
		h["traceparent"] = ctx.Value(traceKey{})
	}))
	ctx := context.WithValue(t.Context(), traceKey{}, "mine")
	given := occamy.Headers{"traceparent": "theirs", "colour": "blue"}
	_, err := c.Submit(ctx, client.Request{Kind: "k", Headers: given})
	if err := errors.Join(err, c.Optional(ctx, broker.Request{Kind: "k", Headers: given}), c.Optional(ctx, broker.Request{Kind: "k"})); err != nil {
		t.Fatal(err)
	}
	for i, want := range []occamy.Headers{
		{"Occamy-Outcome": "true", "traceparent": "mine", "colour": "blue"},
		{"traceparent": "mine", "colour": "blue"},
		{"traceparent": "mine"},
	} {
		if !maps.Equal(got[i], want) {
			t.Errorf("headers %v, want %v", got[i], want)
		}
	}
	if given["traceparent"] != "theirs" {
		t.Errorf("the caller's headers were changed: %v", given)
	}
}
