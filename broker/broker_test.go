package broker_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

func TestCheckID(t *testing.T) {
	for id, valid := range map[string]bool{
		"r1":                                true,
		"a b.c*d>e/f:g":                     true,
		"Zürich-東京-🙂":                       true,
		strings.Repeat("x", broker.MaxID):   true,
		strings.Repeat("x", broker.MaxID+1): false,
		"":                                  false,
		" r1":                               false,
		"r1\u00a0":                          false,
		"a\nb":                              false,
		"a\x00b":                            false,
		"a\u0085b":                          false,
		"\xff":                              false,
	} {
		if err := broker.CheckID(id); (err == nil) != valid || err != nil && !errors.Is(err, broker.ErrInvalid) {
			t.Errorf("CheckID(%q) = %v, want valid: %v", id, err, valid)
		}
	}
}

func TestCheckRequestNamesEveryProblem(t *testing.T) {
	err := broker.Request{Headers: occamy.Headers{"a b": "x", "list": []string{"x"}}}.Check()
	if !errors.Is(err, broker.ErrInvalid) {
		t.Fatalf("Check = %v, want ErrInvalid", err)
	}
	for _, want := range []string{"kind", "ID", `"a b"`, `"list"`, "[]string"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if err := (broker.Request{Kind: "k", ID: "r1", Headers: occamy.Headers{"X-Y": 1}}).Check(); err != nil {
		t.Error(err)
	}
	if err := (broker.Request{Kind: "k"}).CheckOptional(); err != nil {
		t.Error("an optional request needs no ID:", err)
	}
	if err := (broker.Request{Kind: "k", ID: "\n"}).CheckOptional(); !errors.Is(err, broker.ErrInvalid) {
		t.Error("an optional request with a bad ID:", err)
	}
}

func TestHeaderText(t *testing.T) {
	for _, c := range []struct {
		value any
		text  string
		bad   bool
	}{
		{value: "a, b: ü", text: "a, b: ü"},
		{value: "", text: ""},
		{value: true, text: "true"},
		{value: int8(-3), text: "-3"},
		{value: uint64(math.MaxUint64), text: "18446744073709551615"},
		{value: 0.25, text: "0.25"},
		{value: float32(0.1), text: "0.1"},
		{value: "two\r\nlines", bad: true},
		{value: " outer ", bad: true},
		{value: "\xff", bad: true},
		{value: nil, bad: true},
		{value: []byte("x"), bad: true},
		{value: map[string]any{}, bad: true},
		{value: func() {}, bad: true},
	} {
		text, err := broker.HeaderText(c.value)
		if text != c.text || (err != nil) != c.bad || c.bad && !errors.Is(err, broker.ErrInvalid) {
			t.Errorf("HeaderText(%#v) = %q, %v", c.value, text, err)
		}
	}
}

func TestWithKeysCopies(t *testing.T) {
	keys := occamy.HeaderKeys{Kind: "K", RequestID: "R"}.WithDefaults()
	given := occamy.Headers{"X": "y", "R": "forged"}
	got := broker.Request{Kind: "sum", ID: "r1", Headers: given}.WithKeys(keys)
	if want := (occamy.Headers{"X": "y", "K": "sum", "R": "r1"}); !reflect.DeepEqual(got, want) {
		t.Errorf("headers are %v, want %v", got, want)
	}
	got = broker.Request{Kind: "sum", Headers: given}.WithKeys(keys)
	if want := (occamy.Headers{"X": "y", "K": "sum"}); !reflect.DeepEqual(got, want) {
		t.Errorf("headers without an ID are %v, want %v", got, want)
	}
	if len(given) != 2 || given["R"] != "forged" {
		t.Errorf("the caller's headers changed: %v", given)
	}
}

func TestOutcomeCodec(t *testing.T) {
	want := occamy.Outcome{ID: "r", Kind: "k", Status: occamy.Completed, Result: []byte{0, 1, 255}, Attempt: 2, Server: "s"}
	b, err := broker.EncodeOutcome(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := broker.DecodeOutcome(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"", "{", "[]", `{"status":"odd"}`, `{}`} {
		if o, err := broker.DecodeOutcome([]byte(bad)); err == nil {
			t.Errorf("DecodeOutcome(%q) = %+v, want an error", bad, o)
		}
	}
}
