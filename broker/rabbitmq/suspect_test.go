package rabbitmq

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A request that was in two crashes waits before it is tried again, once for
// each further one.
func TestWhoWasInTwoCrashesIsSetApart(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, since int // lost deliveries: before it was copied, and since
		want          bool
	}{
		{"a fresh one", 0, 0, false},
		{"once is no sign", 0, 1, false},
		{"twice", 0, 2, true},
		{"twice, and it has waited", 2, 0, false},
		{"again since it waited", 2, 1, true},
		{"handed over in order after one crash", 1, 0, false},
	} {
		h := amqp.Table{hdrCrashes: int64(c.before), "x-delivery-count": int64(c.since)}
		m := &delivery{raw: amqp.Delivery{Headers: h}, crashes: c.before + c.since}
		if got := m.suspect(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAClassicQueueTellsOfASecondCrashByOneBit(t *testing.T) {
	m := &delivery{raw: amqp.Delivery{Redelivered: true, Headers: amqp.Table{hdrCrashes: int64(1)}}, crashes: 2}
	if !m.suspect() {
		t.Error("redelivered after one crash: not set apart")
	}
}
