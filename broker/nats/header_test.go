package nats

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
)

func TestHeadersComeBackAsText(t *testing.T) {
	in := occamy.Headers{
		"Occamy-Kind": "route", "Int": 7, "Bool": true, "Empty": "",
		"Nats-Msg-Id":            "a user's own",
		"nats-rollup":            "all",
		ownPrefix + "Crashes":    "99",
		escapePrefix + "Crashes": "98",
	}
	wire, err := encodeHeaders(in)
	if err != nil {
		t.Fatal(err)
	}
	for key := range wire {
		if hasPrefixFold(key, natsPrefix) {
			t.Errorf("NATS would read the header %q of a user", key)
		}
	}
	if n := count(wire, hdrCrashes); n != 0 {
		t.Errorf("a user sets the count of crashes to %d", n)
	}
	want := occamy.Headers{
		"Occamy-Kind": "route", "Int": "7", "Bool": "true", "Empty": "",
		"Nats-Msg-Id":            "a user's own",
		"nats-rollup":            "all",
		ownPrefix + "Crashes":    "99",
		escapePrefix + "Crashes": "98",
	}
	if got, _ := decodeHeaders(wire); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if copied, _ := decodeHeaders(userHeaders(wire)); !maps.Equal(copied, want) {
		t.Errorf("the copy bears %v, want %v", copied, want)
	}
}

func TestAHeaderThatIsThereTwiceHasNoSingleValue(t *testing.T) {
	got, _ := decodeHeaders(natsgo.Header{"K": {"a", "b"}, "None": {}})
	if want := (occamy.Headers{"K": []string{"a", "b"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOwnHeadersThatAreNonsenseCountAsNothing(t *testing.T) {
	for _, v := range []string{"", "x", "-1", "1e3", "99999999999999999999", "2147483648"} {
		if n := count(natsgo.Header{hdrCrashes: {v}}, hdrCrashes); n != 0 {
			t.Errorf("%q counts as %d", v, n)
		}
		if _, ok := notBefore(natsgo.Header{hdrNotBefore: {v}}); ok && v != "2147483648" {
			t.Errorf("%q is a moment", v)
		}
	}
	want := time.Unix(0, 123456789)
	if at, ok := notBefore(natsgo.Header{hdrNotBefore: {"123456789"}}); !ok || !at.Equal(want) {
		t.Errorf("got %v %t, want %v", at, ok, want)
	}
}

func TestReasonsTravelOnOneLine(t *testing.T) {
	for _, reason := range []string{"", "plain", "a stack\n\tof lines\r\n", "é\x00\xff", strings.Repeat("é", 300)} {
		line := quoteReason(reason, 400)
		if strings.ContainsAny(line, "\r\n") {
			t.Errorf("the line of %q is %q", reason, line)
		}
		got := unquoteReason(line)
		if kept, wasCut := strings.CutSuffix(got, " [cut]"); wasCut {
			if len(reason) <= 50 || kept == "" || !strings.HasPrefix(reason, kept) || len(line) > 400+16 {
				t.Errorf("%q came back as %q, by a line of %d bytes", reason, got, len(line))
			}
		} else if got != reason {
			t.Errorf("%q came back as %q", reason, got)
		}
	}
}

// Whatever stands in the headers of a message, nothing breaks, and nothing of
// NATS's or of ours is shown to a task.
func FuzzDecodeHeaders(f *testing.F) {
	for _, s := range []string{
		"", "Occamy-Kind: a\r\n", "K: a\r\nK: b\r\n", "Nats-Msg-Id: x\r\n",
		hdrNotBefore + ": 1\r\n" + hdrCrashes + ": -5\r\n", escapePrefix + "Nats-A: b\r\n", escapePrefix + ": x\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := natsgo.DecodeHeadersMsg([]byte("NATS/1.0\r\n" + s + "\r\n"))
		if err != nil {
			return
		}
		got, _ := decodeHeaders(h)
		for key, value := range got {
			switch v := value.(type) {
			case string:
			case []string:
				if len(v) < 2 {
					t.Errorf("%q has the values %q", key, v)
				}
			default:
				t.Errorf("%q has a value of type %T", key, value)
			}
			_, plain := h[key]
			_, escaped := h[escapePrefix+key]
			if !escaped && (!plain || hasPrefixFold(key, natsPrefix) || hasPrefixFold(key, ownPrefix)) {
				t.Errorf("%q is shown", key)
			}
		}
		if again, _ := decodeHeaders(userHeaders(h)); !reflect.DeepEqual(again, got) {
			t.Errorf("the copy of %v bears %v", got, again)
		}
		if n := count(h, hdrCrashes); n < 0 {
			t.Errorf("%d crashes", n)
		}
		if at, ok := notBefore(h); ok && at.UnixNano() <= 0 {
			t.Errorf("not before %v", at)
		}
		_ = unquoteReason(first(h, hdrReason))
	})
}
