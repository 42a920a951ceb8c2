package client_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

// busyFor is a Control that nobody takes until d has passed.
func busyFor(d time.Duration, calls *int) func(string, occamy.Headers, []byte) error {
	begin := time.Now()
	return func(string, occamy.Headers, []byte) error {
		*calls++
		if time.Since(begin) < d {
			return broker.ErrNobody
		}
		return nil
	}
}

func TestControlRepeatsUntilSomebodyTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, begin := 0, time.Now()
		c := client.New(&fake{control: busyFor(time.Second, &calls)})
		if err := c.Control(t.Context(), "t", nil, []byte("b")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 1250*time.Millisecond || calls < 3 || calls > 20 {
			t.Errorf("taken after %v and %d calls; want within 250 ms of 1 s, and few calls", took, calls)
		}
	})
}

func TestControlEndsWithItsGrace(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options []client.Option
		want    time.Duration
	}{
		{"by default", nil, client.DefaultGrace},
		{"as set", []client.Option{client.WithGrace(time.Second)}, time.Second},
		{"without", []client.Option{client.WithGrace(0)}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, begin := 0, time.Now()
				c := client.New(&fake{control: busyFor(time.Hour, &calls)}, tc.options...)
				err := c.Control(t.Context(), "t", nil, nil)
				if !errors.Is(err, broker.ErrNobody) || time.Since(begin) != tc.want {
					t.Errorf("after %v: %v; want ErrNobody after %v", time.Since(begin), err, tc.want)
				}
			})
		})
	}
}

func TestControlEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls, begin := 0, time.Now()
		err := client.New(&fake{control: busyFor(time.Hour, &calls)}).Control(ctx, "t", nil, nil)
		if !errors.Is(err, broker.ErrNobody) || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v; want ErrNobody after 1 s", time.Since(begin), err)
		}
	})
}

func TestControlDoesNotRepeatOtherErrors(t *testing.T) {
	calls := 0
	c := client.New(&fake{control: func(string, occamy.Headers, []byte) error { calls++; return broker.ErrClosed }})
	if err := c.Control(t.Context(), "t", nil, nil); !errors.Is(err, broker.ErrClosed) || calls != 1 {
		t.Errorf("%v after %d calls; want ErrClosed after one", err, calls)
	}
}

func TestCommandsNameTheirTargets(t *testing.T) {
	var got occamy.Headers
	c := client.New(&fake{command: func(h occamy.Headers) error { got = h; return nil }})
	for _, tc := range []struct {
		send func(context.Context, string) error
		want occamy.Headers
	}{
		{c.Cancel, occamy.Headers{"Occamy-Command": "cancel", "Occamy-Task-Id": "x"}},
		{c.Drain, occamy.Headers{"Occamy-Command": "drain", "Occamy-Server": "x"}},
		{c.Resume, occamy.Headers{"Occamy-Command": "resume", "Occamy-Server": "x"}},
	} {
		got = nil
		if err := tc.send(t.Context(), "x"); err != nil || !maps.Equal(got, tc.want) {
			t.Errorf("sent %v, %v; want %v", got, err, tc.want)
		}
		got = nil
		if err := tc.send(t.Context(), ""); !errors.Is(err, broker.ErrInvalid) || got != nil {
			t.Errorf("without a target: sent %v, %v; want nothing and ErrInvalid", got, err)
		}
	}
	if err := c.Control(t.Context(), "", nil, nil); !errors.Is(err, broker.ErrInvalid) {
		t.Errorf("Control without an ID gives %v, want ErrInvalid", err)
	}
}

// telling is a broker that can tell.
type telling struct {
	*fake
	told []string
}

func (t *telling) Tell(_ context.Context, id string, _ occamy.Headers, body []byte) error {
	t.told = append(t.told, id+": "+string(body))
	return t.err
}

func TestTellIsSentOnce(t *testing.T) {
	calls := 0
	control := func(string, occamy.Headers, []byte) error { calls++; return broker.ErrNobody }
	if err := client.New(&fake{control: control}).Tell(t.Context(), "t", nil, nil); !errors.Is(err, broker.ErrNobody) || calls != 1 {
		t.Errorf("a broker that can but control: %v after %d calls; want ErrNobody after one", err, calls)
	}
	b := &telling{fake: &fake{}}
	if err := client.New(b).Tell(t.Context(), "t", nil, []byte("hi")); err != nil || !slices.Equal(b.told, []string{"t: hi"}) {
		t.Errorf("told %q, %v", b.told, err)
	}
	b.err = broker.ErrClosed
	if err := client.New(b).Tell(t.Context(), "t", nil, nil); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
