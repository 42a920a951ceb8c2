package rabbitmq

import (
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

func TestHeadersComeBackAsTheyWere(t *testing.T) {
	in := occamy.Headers{
		"Occamy-Kind": "route", "Int": 7, "Uint8": uint8(200), "Huge": uint64(math.MaxUint64), "Bool": true, "Empty": "", "NaN": math.NaN(),
		"CC": "a user's own", "x-death": "mine", "x-mine": "plain",
		hdrCrashes: "99", escapePrefix + "CC": "98",
	}
	wire, err := encodeHeaders(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"CC", "x-death", hdrCrashes} {
		if _, ok := wire[key]; ok {
			t.Errorf("RabbitMQ or the adapter would obey the header %q of a user", key)
		}
	}
	for _, got := range []occamy.Headers{decodeHeaders(wire), decodeHeaders(userHeaders(wire))} {
		if len(got) != len(in) {
			t.Errorf("got %v, want the keys of %v", got, in)
		}
		for key, value := range in {
			want, err := broker.HeaderText(value)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := broker.HeaderText(got[key]); err != nil || text != want {
				t.Errorf("%q is %#v, want %q", key, got[key], want)
			}
		}
	}
}

func TestWhatTheBrokerAddsIsHidden(t *testing.T) {
	got := decodeHeaders(amqp.Table{
		"x-death": []any{amqp.Table{"count": int64(1)}}, "x-first-death-reason": "expired", "x-delivery-count": int64(3),
		"x-acquired-count": int64(3), hdrCrashes: int64(2), escapePrefix + "plain": "forged", "Mine": "m",
	})
	if want := (occamy.Headers{"Mine": "m"}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOwnHeadersThatAreNonsenseCountAsNothing(t *testing.T) {
	for _, v := range []any{nil, "3", int64(-1), int64(math.MaxInt64), 3.0, true, amqp.Table{}, []any{}, time.Now()} {
		if n := count(amqp.Table{hdrCrashes: v}, hdrCrashes); n != 0 {
			t.Errorf("%#v counts as %d", v, n)
		}
	}
	for _, v := range []any{int8(3), int16(3), int32(3), int64(3), uint8(3), uint16(3), uint32(3)} {
		if n := count(amqp.Table{hdrCrashes: v}, hdrCrashes); n != 3 {
			t.Errorf("%#v counts as %d", v, n)
		}
	}
	for _, v := range []any{nil, 1, []byte("x"), "\xff"} {
		if s := text(amqp.Table{hdrReason: v}, hdrReason); s != "" {
			t.Errorf("%#v reads as %q", v, s)
		}
	}
}

// tableOf makes a table of bytes from outside: nested, with values of every type
// that AMQP has.
func tableOf(data []byte, depth int) (amqp.Table, []byte) {
	keys := []string{"CC", "x-death", hdrCrashes, hdrDeliveries, hdrReason, hdrOrigin, escapePrefix, escapePrefix + "CC", "Occamy-Kind", "x-delivery-count"}
	out := make(amqp.Table)
	for len(data) > 1 && len(out) < 64 {
		key := keys[int(data[0])%len(keys)]
		if data[0]&0x40 != 0 {
			n := min(int(data[0]&0xf), len(data)-1)
			key = string(data[1 : 1+n])
		}
		var v any
		v, data = valueOf(data[1:], depth)
		out[key] = v
		if len(data) > 0 && data[0] == 0xff {
			return out, data[1:]
		}
	}
	return out, data
}

func valueOf(data []byte, depth int) (any, []byte) {
	if len(data) == 0 {
		return nil, nil
	}
	what, data := data[0], data[1:]
	n := min(int(what>>4), len(data))
	s := string(data[:n])
	switch what % 16 {
	case 0:
		return nil, data
	case 1:
		return what > 127, data
	case 2:
		return int8(what), data
	case 3:
		return int16(what) << 7, data
	case 4:
		return int32(what) << 23, data
	case 5:
		return int64(what) << 55, data
	case 6:
		return what, data
	case 7:
		return float32(what), data
	case 8:
		return math.Inf(int(what) - 128), data
	case 9:
		return []byte(s), data[n:]
	case 10:
		return amqp.Decimal{Scale: what, Value: int32(n)}, data
	case 11:
		return time.Unix(int64(what)<<32, 0), data
	case 12, 13:
		if depth > 3 {
			return nil, data
		}
		t, rest := tableOf(data, depth+1)
		return t, rest
	case 14:
		if depth > 3 {
			return []any{}, data
		}
		v, rest := valueOf(data, depth+1)
		return []any{v, s}, rest
	}
	return s, data[n:]
}

// Whatever stands in the headers of a message, nothing breaks, and nothing of
// the broker's or of ours is shown to a task.
func FuzzDecodeHeaders(f *testing.F) {
	for _, s := range []string{"", "\x00\x0f", "\x08\x5fforge\x01\x4f1234", "\x02\x05\x03\xf5", "\x44CCCC\x4fabcd", "\x05\x0c\x01\x0f\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, _ := tableOf(data, 0)
		got := decodeHeaders(h)
		for key := range got {
			if _, plain := h[key]; plain && reserved(key) {
				if _, escaped := h[escapePrefix+key]; !escaped {
					t.Errorf("%q is shown", key)
				}
			}
		}
		copied := userHeaders(h)
		if again := decodeHeaders(copied); len(again) != len(got) {
			t.Errorf("the copy of %v bears %v", got, again)
		}
		m := &delivery{s: &session{kind: "k", c: &consumer{keys: occamy.DefaultHeaderKeys()}}, raw: amqp.Delivery{Headers: h, Redelivered: len(data)%2 == 1}}
		m = newDelivery(m.s, nil, m.raw)
		if m.attempt < 1 || m.crashes < 0 {
			t.Errorf("attempt %d after %d crashes", m.attempt, m.crashes)
		}
		if err := m.copy(m.attempt, m.crashes).Headers.Validate(); err != nil && h.Validate() == nil {
			t.Errorf("the copy cannot be published: %v", err)
		}
		if n := headerSize(h); n < 4 {
			t.Errorf("%d bytes", n)
		}
	})
}

func TestAReasonIsCutToItsRoom(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("é", 100), "\xff\xfe"} {
		got := cut(s, 51)
		if !strings.HasPrefix(got, strings.ToValidUTF8(s, "\uFFFD")[:min(len(s), 50)]) && len(s) > 2 || len(got) > 51+len(" [cut]") {
			t.Errorf("%q is cut to %q", s, got)
		}
	}
}

func TestTheKindOfAQueueIsThatOfItsMessages(t *testing.T) {
	s := &session{kind: "k", c: &consumer{keys: occamy.DefaultHeaderKeys()}}
	m := newDelivery(s, nil, amqp.Delivery{MessageId: "m1"})
	if want := (occamy.Headers{s.c.keys.Kind: "k"}); !reflect.DeepEqual(m.Headers(), want) {
		t.Errorf("a bare message has the headers %v, want %v", m.Headers(), want)
	}
	if m.id != "" || m.key == "" {
		t.Errorf("it has the ID %q and keeps its progress under %q", m.id, m.key)
	}
	again := newDelivery(s, nil, amqp.Delivery{MessageId: "m2", Headers: m.copy(1, 0).Headers})
	if again.key != m.key || again.attempt != 2 {
		t.Errorf("its copy is attempt %d and keeps its progress under %q, want %q", again.attempt, again.key, m.key)
	}
}
