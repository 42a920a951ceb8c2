package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
	"github.com/occamy-go/occamy/checkpoint/natskv"
)

func openBucket(t testing.TB, c *natsd.Cluster, o natskv.Options) *natskv.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	o.Replicas = 3
	s, err := natskv.Open(ctx, open(t, nats.Config{URL: c.URLs()}).Conn(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each test has a bucket of its own, with three replicas.
func TestCheckpointsOnACluster(t *testing.T) {
	c := natsd.StartCluster(t, "", "")
	var worlds atomic.Int64
	checkpointtest.Run(t, func(t *testing.T) checkpointtest.World {
		o := natskv.Options{Bucket: fmt.Sprintf("w%d", worlds.Add(1)), MaxAge: time.Minute}
		switch t.Name() { // NATS knows no other way than to wait
		case "TestCheckpointsOnACluster/a_value_expires", "TestCheckpointsOnACluster/progress_that_has_expired_is_superseded":
			o.MaxAge = 2 * time.Second
		}
		s := openBucket(t, c, o)
		return checkpointtest.World{
			Open:     func(t testing.TB) checkpoint.Store { return openBucket(t, c, o) },
			MaxValue: s.MaxValue(),
			Expire: func(t testing.TB, key string) {
				eventually(t.(*testing.T), "it has expired", func() bool {
					_, err := s.Load(t.Context(), key)
					return errors.Is(err, checkpoint.ErrNotFound)
				})
			},
		}
	})
}

// The leader of the bucket is killed while an attempt saves, three times: the
// attempt goes on, and what was confirmed is there.
func TestCheckpointsOutliveTheirLeader(t *testing.T) {
	c := natsd.StartCluster(t, "", "")
	js := c.Connect(t)
	s := openBucket(t, c, natskv.Options{})
	p := checkpoint.New(s, "r")
	if _, err := p.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	const stream = "KV_" + natskv.DefaultBucket
	saved, failed := 0, 0
	save := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		err := p.Save(ctx, strconv.AppendInt(nil, int64(saved+1), 10))
		switch {
		case err == nil:
			saved++
		case errors.Is(err, checkpoint.ErrSuperseded):
			t.Fatalf("after %d: %v", saved, err)
		default:
			failed++
		}
		return err == nil
	}
	for range 3 {
		for range 20 {
			save()
		}
		var leader *natsd.Node
		eventually(t, "there is a leader", func() bool { leader = c.Leader(t.Context(), js, stream); return leader != nil })
		leader.Kill()
		eventually(t, "it saves again", save)
		heir, err := s.Load(t.Context(), "r")
		if err != nil || heir.Revision < p.Revision() {
			t.Errorf("Load: revision %d after %d, %v", heir.Revision, p.Revision(), err)
		}
		leader.Restart(t)
		eventually(t, "all replicas are current again", func() bool { return current(t, js, stream) == 3 })
	}
	var found []byte
	eventually(t, "another attempt can claim", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var err error
		found, err = checkpoint.New(s, "r").Claim(ctx)
		return err == nil
	})
	if want := strconv.Itoa(saved); string(found) != want {
		t.Errorf("the last value is %s, want %s", found, want)
	}
	t.Logf("%d saved, %d calls failed meanwhile", saved, failed)
}

// current is how many servers have all of a stream.
func current(t *testing.T, js jetstream.JetStream, stream string) int {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0
	}
	cluster, n := s.CachedInfo().Cluster, 1 // the leader
	for _, peer := range cluster.Replicas {
		if peer.Current && !peer.Offline {
			n++
		}
	}
	return n
}
