package nats

import (
	"strings"
	"testing"
)

func TestTokenKeepsPlainNamesReadable(t *testing.T) {
	for in, want := range map[string]string{
		"route":                 "route",
		"A-1_b":                 "A-1_b",
		"":                      "=",
		"a.b":                   "=YS5i",
		"*":                     "=Kg",
		">":                     "=Pg",
		"with space":            "=d2l0aCBzcGFjZQ",
		"=YS5i":                 "=PVlTNWk",
		strings.Repeat("x", 64): strings.Repeat("x", 64),
	} {
		if got := token(in); got != want {
			t.Errorf("token(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTokenOfALongIDIsAHash(t *testing.T) {
	a, b := token(strings.Repeat("x", 511)+"a"), token(strings.Repeat("x", 511)+"b")
	if a == b || len(a) > maxEncoded || !strings.HasPrefix(a, "==") {
		t.Errorf("tokens of two long IDs: %q and %q", a, b)
	}
	if s, ok := untoken(a); ok {
		t.Errorf("untoken gives %q for a hash", s)
	}
}

func TestPrefixesThatAreNoGood(t *testing.T) {
	for _, prefix := range []string{"", "a.b", "a*", "A", "two words", "é", strings.Repeat("x", 33)} {
		if _, err := newNames(prefix); err == nil {
			t.Errorf("the prefix %q is taken", prefix)
		}
	}
}

// Any string makes one valid token, and is told from every other.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "a", "a.b", "*", ">", "=", "==", "\x00", "é", strings.Repeat("é", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := token(s)
		if got == "" || len(got) > maxEncoded || strings.ContainsAny(got, ".*> \t\r\n\x00") {
			t.Fatalf("token(%q) = %q", s, got)
		}
		back, ok := untoken(got)
		if hashed := strings.HasPrefix(got, "=="); hashed == ok {
			t.Fatalf("untoken(%q): %t", got, ok)
		}
		if ok && back != s {
			t.Fatalf("token(%q) = %q, which is the token of %q", s, got, back)
		}
	})
}

// What stands in a subject may come from anybody.
func FuzzUntoken(f *testing.F) {
	for _, s := range []string{"", "=", "==x", "=YS5i", "=YS5j\n", "=YWJj", "a.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if back, ok := untoken(s); ok && token(back) != s {
			t.Fatalf("untoken(%q) = %q, whose token is %q", s, back, token(back))
		}
	})
}
