package natskv_test

import (
	"context"
	"errors"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
	"github.com/occamy-go/occamy/checkpoint/natskv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const maxPayload = 1 << 18

func startServer(t testing.TB) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Port: embedded.AnyPort, RelaxSync: true, MaxPayload: maxPayload})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect gives the connection of a broker, as the command has it.
func connect(t testing.TB, s *embedded.Server) *natsgo.Conn {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.Conn()
}

func open(t testing.TB, nc *natsgo.Conn, o natskv.Options) *natskv.Store {
	t.Helper()
	s, err := natskv.Open(t.Context(), nc, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func world(t *testing.T, server *embedded.Server, age time.Duration) checkpointtest.World {
	nc := connect(t, server)
	return checkpointtest.World{
		Open:     func(t testing.TB) checkpoint.Store { return open(t, connect(t, server), natskv.Options{MaxAge: age}) },
		MaxValue: maxPayload - 256,
		Expire: func(t testing.TB, key string) {
			until(t, "it has expired", func() bool {
				_, err := open(t, nc, natskv.Options{}).Load(t.Context(), key)
				return errors.Is(err, checkpoint.ErrNotFound)
			})
		},
	}
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

func TestConformance(t *testing.T) {
	checkpointtest.Run(t, func(t *testing.T) checkpointtest.World {
		return world(t, startServer(t), agesFor[t.Name()])
	})
}

// agesFor has the tests in which values expire: NATS knows no other way than to
// wait. All others keep them.
var agesFor = map[string]time.Duration{
	"TestConformance/a_value_expires":                         time.Second,
	"TestConformance/progress_that_has_expired_is_superseded": time.Second,
}

// A bucket that an operator has made with NATS's own tools answers from any of
// its servers; the store asks the leader all the same.
func TestABucketOfAnOperator(t *testing.T) {
	server := startServer(t)
	nc := connect(t, server)
	if _, err := natskv.Open(t.Context(), nc, natskv.Options{NoCreate: true, Bucket: "theirs"}); !errors.Is(err, natskv.ErrMissing) {
		t.Errorf("Open: %v", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "theirs", MaxValueSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, nc, natskv.Options{NoCreate: true, Bucket: "theirs"})
	rev, err := s.Save(t.Context(), "a/b", []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), "a=2Fb")
	if err != nil || string(e.Value()) != "value" || e.Revision() != uint64(rev) {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := s.Save(t.Context(), "a", make([]byte, 1000)); !errors.Is(err, checkpoint.ErrTooLarge) {
		t.Errorf("Save: %v", err)
	}
	if err := kv.Delete(t.Context(), "a=2Fb"); err != nil { // which leaves a mark
		t.Fatal(err)
	}
	if e, err := s.Load(t.Context(), "a/b"); !errors.Is(err, checkpoint.ErrNotFound) {
		t.Errorf("Load: %v, %v", e, err)
	}
	if again, err := s.CompareAndSave(t.Context(), "a/b", nil, 0); err != nil || again <= rev {
		t.Errorf("CompareAndSave: %d, %v", again, err)
	}
}

func TestDeletingLeavesNothing(t *testing.T) {
	nc := connect(t, startServer(t))
	s := open(t, nc, natskv.Options{})
	for range 10 {
		p := checkpoint.New(s, "r")
		if _, err := p.Claim(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_"+natskv.DefaultBucket)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

func TestBucketNames(t *testing.T) {
	nc := connect(t, startServer(t))
	for _, bad := range []string{"a.b", "a b", "*", ">", "é"} {
		if _, err := natskv.Open(t.Context(), nc, natskv.Options{Bucket: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestACallEndsWithItsContextWhileTheServerIsAway(t *testing.T) {
	server := startServer(t)
	s := open(t, connect(t, server), natskv.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Save(ctx, "key", nil); err == nil {
		t.Error("Save: no error")
	}
	if _, err := s.Load(ctx, "key"); err == nil || errors.Is(err, checkpoint.ErrNotFound) {
		t.Errorf("Load: %v", err)
	}
}
