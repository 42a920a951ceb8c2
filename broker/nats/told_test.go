package nats

import (
	"errors"
	"maps"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

func TestToldHeadersTravelBeforeTheBody(t *testing.T) {
	var reader toldReader
	for name, c := range map[string]struct{ sent, come occamy.Headers }{
		"none":            {nil, occamy.Headers{"Id": "t"}},
		"of all types":    {occamy.Headers{"a": "text", "n": 7, "b": true, "e": ""}, occamy.Headers{"Id": "t", "a": "text", "n": "7", "b": "true", "e": ""}},
		"another task's":  {occamy.Headers{"Id": "another"}, occamy.Headers{"Id": "t"}},
		"a reserved name": {occamy.Headers{"Nats-Msg-Id": "x"}, occamy.Headers{"Id": "t", "Nats-Msg-Id": "x"}},
		"the adapter's":   {occamy.Headers{hdrDeliveries: "9"}, occamy.Headers{"Id": "t", hdrDeliveries: "9"}},
		"a long one":      {occamy.Headers{"long": longText}, occamy.Headers{"Id": "t", "long": longText}},
	} {
		for _, body := range []string{"", "body"} {
			b, err := packTold("Id", "t", c.sent, []byte(body))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			headers, rest, err := reader.read(b)
			if err != nil || string(rest) != body || !maps.Equal(headers, c.come) {
				t.Errorf("%s: %v, %q with %v; want %q with %v", name, err, rest, headers, body, c.come)
			}
		}
	}
	if _, err := packTold("Id", "t", occamy.Headers{"bad": "two\nlines"}, nil); !errors.Is(err, broker.ErrInvalid) {
		t.Errorf("a value that no broker carries: %v", err)
	}
}

const longText = "0123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789"

// Whatever comes, what is read is a part of it.
func FuzzReadTold(f *testing.F) {
	good, err := packTold("Id", "t", occamy.Headers{"a": "b"}, []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	for n := range len(good) + 1 {
		f.Add(good[:n])
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{4, 2, 'a', 'b', 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		var reader toldReader
		headers, body, err := reader.read(b)
		if err != nil {
			if !errors.Is(err, errTold) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		again, _, err := reader.read(b)
		if err != nil || !maps.Equal(again, headers) {
			t.Errorf("read again: %v, %v; want %v", err, again, headers)
		}
		n := len(body)
		for k, v := range headers {
			n += len(k) + len(v.(string))
		}
		if n > len(b) {
			t.Errorf("%d bytes of %d", n, len(b))
		}
	})
}
