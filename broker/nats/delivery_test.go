package nats

import (
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

func TestDeliveriesAreReadFromTheirSubjects(t *testing.T) {
	at := time.Unix(0, 1700000000000000001)
	want := delivery{consumer: "k_1", sequence: 42, count: 3, stored: at, pending: 7}
	for name, reply := range map[string]string{
		"short":             "$JS.ACK.S.k_1.3.42.99.1700000000000000001.7",
		"long":              "$JS.ACK.hub.hash.S.k_1.3.42.99.1700000000000000001.7",
		"long, with random": "$JS.ACK._.hash.S.k_1.3.42.99.1700000000000000001.7.r4nd0m",
	} {
		if got, ok := parseDelivery(reply); !ok || got != want {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
	if got := want.String(); got != "k_1.42.3" {
		t.Errorf("its name is %s", got)
	}
	for _, reply := range []string{
		"", "_INBOX.x", "$JS.ACK.", "$JS.ACK.S.k.1.2.3.4", "$JS.ACK.S.k.0.2.3.4.5", "$JS.ACK.S.k.x.2.3.4.5",
		"$JS.ACK.S.k.1.-2.3.4.5", "$JS.ACK.S.k.1.2.3.x.5", "$JS.ACK.S.k.1.2.3.4.x", "$JS.ACK.S..1.2.3.4.5", "$JS.ACK.a.b.c.d.e.f.g.h",
	} {
		if got, ok := parseDelivery(reply); ok {
			t.Errorf("%q is taken for %+v", reply, got)
		}
	}
}

// It reads what the NATS client's own reader reads, and nothing makes it panic.
func FuzzParseDelivery(f *testing.F) {
	f.Add("$JS.ACK.S.k_1.3.42.99.1700000000000000001.7")
	f.Add("$JS.ACK.hub.hash.S.k_1.3.42.99.1700000000000000001.7.r")
	f.Add("$JS.ACK...")
	f.Fuzz(func(t *testing.T, reply string) {
		got, ok := parseDelivery(reply)
		if !ok {
			return
		}
		meta, err := (&natsgo.Msg{Reply: reply, Sub: &natsgo.Subscription{}}).Metadata()
		if err != nil {
			return // it asks for a connection, too
		}
		if meta.Consumer != got.consumer || meta.Sequence.Stream != got.sequence || !meta.Timestamp.Equal(got.stored) {
			t.Errorf("%q: %+v, and the client reads %+v", reply, got, meta)
		}
	})
}
