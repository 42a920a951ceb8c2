package nats_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
)

// Settings that would lose requests, or run them at the wrong time, are refused
// with what to change; all that are an operator's own choice are taken.
func TestSettingsThatWouldBreakPromises(t *testing.T) {
	s := natsd.Start(t, &server.Options{StoreDir: t.TempDir()})
	nc, err := natsgo.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	type stream = jetstream.StreamConfig
	type consumer = jetstream.ConsumerConfig
	for i, c := range []struct {
		name     string
		stream   func(*stream) // of which names; nil: as it should be
		which    string        // REQUESTS if empty
		consumer func(*consumer)
		want     string // empty: it is taken
	}{
		{"limits retention", func(c *stream) { c.Retention = jetstream.LimitsPolicy }, "", nil, "want workqueue"},
		{"interest retention", func(c *stream) { c.Retention = jetstream.InterestPolicy }, "", nil, "want workqueue"},
		{"a full stream drops the oldest", func(c *stream) { c.MaxMsgs = 10 }, "", nil, "set discard to new"},
		{"a full stream drops the oldest bytes", func(c *stream) { c.MaxBytes = 1 << 20 }, "", nil, "set discard to new"},
		{"a full subject drops the oldest", func(c *stream) { c.MaxMsgsPerSubject = 10 }, "", nil, "set discard to new"},
		{"a full stream takes no more", func(c *stream) { c.MaxMsgs, c.Discard = 10, jetstream.DiscardNew }, "", nil, ""},
		{"no confirmations", func(c *stream) { c.NoAck = true }, "", nil, "no_ack is on"},
		{"another subject", func(c *stream) { c.Subjects = []string{c.Subjects[0] + ".more"} }, "", nil, "add the subject"},
		{"sealed", func(c *stream) { c.Sealed = true }, "", nil, "it is sealed"},
		{"in memory, for an hour", func(c *stream) { c.Storage, c.MaxAge = jetstream.MemoryStorage, time.Hour }, "", nil, ""},
		{"dead letters nobody keeps", func(c *stream) { c.Retention = jetstream.InterestPolicy }, "DEAD", nil, "keeps nothing"},
		{"dead letters that stay", func(c *stream) { c.DenyDelete = true }, "DEAD", nil, "deny_delete"},
		{"the newest dead letters", func(c *stream) { c.MaxMsgs = 10 }, "DEAD", nil, ""},
		{"outcomes that stay", func(c *stream) { c.DenyPurge = true }, "OUTCOMES", nil, "deny_purge"},
		{"outcomes elsewhere", func(c *stream) { c.Subjects = []string{"elsewhere"} }, "OUTCOMES", nil, "add the subject"},

		{"no limit of deliveries", nil, "", func(c *consumer) { c.MaxDeliver = -1 }, ""},
		{"many deliveries", nil, "", func(c *consumer) { c.MaxDeliver = 7 }, ""},
		{"too few deliveries", nil, "", func(c *consumer) { c.MaxDeliver = 6 }, "its max_deliver is 6"},
		{"little room", nil, "", func(c *consumer) { c.MaxAckPending = 3 }, "its max_ack_pending is 3"},
		{"enough room", nil, "", func(c *consumer) { c.MaxAckPending = 4 }, ""},
		{"a short lease", nil, "", func(c *consumer) { c.AckWait = 50 * time.Millisecond }, "its ack_wait"},
		{"a short backoff", nil, "", func(c *consumer) {
			c.MaxDeliver, c.BackOff = 10, []time.Duration{time.Second, 50 * time.Millisecond}
		}, "the least of its backoff"},
		{"headers only", nil, "", func(c *consumer) { c.HeadersOnly = true }, "headers_only"},
		{"slow replay", nil, "", func(c *consumer) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy }, "want instant"},
		{"one consumer for all kinds", nil, "", func(c *consumer) { c.FilterSubject = "" }, "a consumer for each kind"},
		{"priority groups", nil, "", func(c *consumer) {
			c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"g"}
		}, "priority groups"},
	} {
		t.Run(c.name, func(t *testing.T) {
			prefix := "w" + strconv.Itoa(i)
			upper := strings.ToUpper(prefix)
			all := map[string]*stream{
				"REQUESTS": {Name: upper + "_REQUESTS", Subjects: []string{prefix + ".request.*"}, Retention: jetstream.WorkQueuePolicy},
				"DEAD":     {Name: upper + "_DEAD", Subjects: []string{prefix + ".dead.*.*"}},
				"OUTCOMES": {Name: upper + "_OUTCOMES", Subjects: []string{prefix + ".outcome.*"}},
				"PROGRESS": {Name: "KV_" + upper + "_PROGRESS", Subjects: []string{"$KV." + upper + "_PROGRESS.>"}},
			}
			if c.stream != nil {
				which := c.which
				if which == "" {
					which = "REQUESTS"
				}
				c.stream(all[which])
			}
			for _, cfg := range all {
				sealed := cfg.Sealed
				cfg.Sealed = false
				if _, err := js.CreateStream(within(t), *cfg); err != nil {
					t.Fatal(err)
				}
				if cfg.Sealed = sealed; sealed {
					if _, err := js.UpdateStream(within(t), *cfg); err != nil {
						t.Fatal(err)
					}
				}
			}
			if c.consumer != nil {
				cfg := consumer{Durable: "mine", FilterSubject: prefix + ".request.k", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 10 * time.Second}
				c.consumer(&cfg)
				if _, err := js.CreateConsumer(within(t), upper+"_REQUESTS", cfg); err != nil {
					t.Fatal(err)
				}
			}

			b := open(t, nats.Config{URL: s.ClientURL(), Prefix: prefix})
			in := consume(t, b, 4, "k")
			if c.want == "" {
				submit(t, b, "k", "r1")
				ack(t, in.next(t))
				return
			}
			select {
			case <-in.over:
			case <-within(t).Done():
				t.Fatal("it is taken")
			}
			wantIs(t, "Consume", in.err, nats.ErrUnsuitable)
			if in.err == nil || !strings.Contains(in.err.Error(), c.want) {
				t.Errorf("got %v; want an error that says %q", in.err, c.want)
			}
		})
	}
}
