package rabbitmq

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var keysOfTests = occamy.DefaultHeaderKeys()

func died(reason string, extra ...any) amqp.Table {
	entry := amqp.Table{"reason": reason, "queue": "occamy.request.k", "count": int64(3), "time": time.Unix(1_700_000_000, 0)}
	return amqp.Table{"x-death": append([]any{entry}, extra...), keysOfTests.RequestID: "r1", "X-Who": "me"}
}

func TestLetters(t *testing.T) {
	now := time.Now()
	q := deadQueue{name: "occamy.dead.k", kind: "k"}
	for _, c := range []struct {
		name    string
		headers amqp.Table
		want    broker.DeadLetter // Reason is a part of it
	}{
		{"the adapter's own", amqp.Table{
			hdrReason: "why", hdrTime: now.UnixNano(), hdrKind: "j", hdrID: "r1", hdrDeliveries: int64(2),
			keysOfTests.Kind: "j", keysOfTests.RequestID: "r1",
		}, broker.DeadLetter{ID: "r1", Kind: "j", Reason: "why", Time: now, Attempts: 2}},
		{"rejected by a consumer without Occamy", died("rejected"),
			broker.DeadLetter{ID: "r1", Kind: "k", Reason: "gave no reason", Time: time.Unix(1_700_000_000, 0), Attempts: 3}},
		{"past the limit of the queue", died("delivery_limit"),
			broker.DeadLetter{ID: "r1", Kind: "k", Reason: "delivery limit", Time: time.Unix(1_700_000_000, 0), Attempts: 3}},
		{"expired", died("expired"),
			broker.DeadLetter{ID: "r1", Kind: "k", Reason: "time to live", Time: time.Unix(1_700_000_000, 0), Attempts: 3}},
		{"too many", died("maxlen"),
			broker.DeadLetter{ID: "r1", Kind: "k", Reason: "was full", Time: time.Unix(1_700_000_000, 0), Attempts: 3}},
		{"for a reason of the future", died("bored", amqp.Table{"reason": "older"}),
			broker.DeadLetter{ID: "r1", Kind: "k", Reason: "bored", Time: time.Unix(1_700_000_000, 0), Attempts: 3}},
		{"anybody's", amqp.Table{"X-Who": "me"}, broker.DeadLetter{Kind: "k", Time: now.Truncate(time.Second)}},
		{"nobody's", nil, broker.DeadLetter{Kind: "k", Time: now.Truncate(time.Second)}},
		{"of nonsense", amqp.Table{
			"x-death": "a", hdrReason: 7, hdrTime: "now", hdrKind: "a\nb", hdrID: "\xff", hdrDeliveries: "many",
			keysOfTests.Kind: []byte("k"), keysOfTests.RequestID: " ",
		}, broker.DeadLetter{Kind: "k", Time: now.Truncate(time.Second)}},
		{"of other nonsense", amqp.Table{"x-death": []any{amqp.Table{"reason": 1, "count": int64(-5), "time": "x"}}},
			broker.DeadLetter{Kind: "k", Reason: "gave no reason", Time: now.Truncate(time.Second)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := amqp.Delivery{Headers: c.headers, Timestamp: now.Truncate(time.Second)}
			got := q.letter(&d, keysOfTests)
			if !strings.Contains(got.Reason, c.want.Reason) || c.want.Reason == "" && got.Reason != "" {
				t.Errorf("the reason is %q, want %q in it", got.Reason, c.want.Reason)
			}
			if !got.Time.Equal(c.want.Time) {
				t.Errorf("the time is %v, want %v", got.Time, c.want.Time)
			}
			if who := got.Headers["X-Who"]; c.headers["X-Who"] != nil && who != "me" {
				t.Errorf("the headers are %v", got.Headers)
			}
			if got.ID != c.want.ID || got.Kind != c.want.Kind || got.Attempts != c.want.Attempts || got.Body == nil || got.Key == "" {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAKeyStaysTheSameAndNamesOneLetter(t *testing.T) {
	h := amqp.Table{hdrReason: "why", hdrTime: int64(5), hdrID: "r1"}
	first := amqp.Delivery{MessageId: "a-1", Headers: h}
	again := amqp.Delivery{MessageId: "a-1", DeliveryTag: 7, Redelivered: true, Headers: amqp.Table{
		hdrReason: "why", hdrTime: int64(5), hdrID: "r1", "x-delivery-count": int64(3),
	}}
	if a, b := letterKey(&first, keysOfTests), letterKey(&again, keysOfTests); a != b {
		t.Errorf("one letter has the keys %s and %s", a, b)
	}
	seen := make(map[string]int)
	for i, d := range []amqp.Delivery{
		first,
		{MessageId: "a-2", Headers: h},
		{MessageId: "a-1", Headers: amqp.Table{hdrTime: int64(6), hdrID: "r1"}},
		{MessageId: "a-1", Headers: amqp.Table{hdrTime: int64(5), hdrID: "r2"}},
		{Body: []byte("x")}, {Body: []byte("y")},
	} {
		key := letterKey(&d, keysOfTests)
		if other, ok := seen[key]; ok {
			t.Errorf("the letters %d and %d have the key %s", other, i, key)
		}
		seen[key] = i
	}
}

// table makes AMQP values of JSON.
func table(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(amqp.Table, len(v))
		for key, value := range v {
			out[key] = table(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = table(value)
		}
		return out
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// What lies among the dead letters may be from anybody.
func FuzzLetter(f *testing.F) {
	for _, s := range []string{
		"{}", `{"x-death":[]}`, `{"x-death":[{"reason":"rejected","count":1e300,"queue":"\u0000"}]}`, `{"x-death":[[]]}`,
		`{"x-occamy-reason":"a","x-occamy-time":-5,"x-occamy-kind":" ","x-occamy-id":"i","x-occamy-deliveries":9e18}`,
	} {
		f.Add(s, "id", []byte("body"))
	}
	f.Fuzz(func(t *testing.T, headers, messageID string, body []byte) {
		var v map[string]any
		if json.Unmarshal([]byte(headers), &v) != nil {
			return
		}
		h, _ := table(v).(amqp.Table)
		d := amqp.Delivery{Headers: h, MessageId: messageID, Body: body}
		got := deadQueue{kind: "k"}.letter(&d, keysOfTests)
		if err := broker.CheckKind(got.Kind); err != nil {
			t.Errorf("the kind %q: %v", got.Kind, err)
		}
		if got.Attempts < 0 || got.Body == nil || !strings.HasPrefix(got.Key, keyPrefix) {
			t.Errorf("got %+v", got)
		}
		if again := (deadQueue{kind: "k"}).letter(&d, keysOfTests); !reflect.DeepEqual(got, again) {
			t.Errorf("first %+v, then %+v", got, again)
		}
	})
}
