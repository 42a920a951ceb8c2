package token

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
		if got := Of(in); got != want {
			t.Errorf("Of(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTokenOfALongIDIsAHash(t *testing.T) {
	a, b := Of(strings.Repeat("x", 511)+"a"), Of(strings.Repeat("x", 511)+"b")
	if a == b || len(a) > maxEncoded || !strings.HasPrefix(a, "==") {
		t.Errorf("tokens of two long IDs: %q and %q", a, b)
	}
	if s, ok := Text(a); ok {
		t.Errorf("Text gives %q for a hash", s)
	}
}

// Any string makes one valid token, and is told from every other.
func FuzzOf(f *testing.F) {
	for _, s := range []string{"", "a", "a.b", "*", ">", "=", "==", "\x00", "é", strings.Repeat("é", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Of(s)
		if got == "" || len(got) > maxEncoded || strings.ContainsAny(got, ".*> \t\r\n\x00") {
			t.Fatalf("Of(%q) = %q", s, got)
		}
		back, ok := Text(got)
		if hashed := strings.HasPrefix(got, "=="); hashed == ok {
			t.Fatalf("Text(%q): %t", got, ok)
		}
		if ok && back != s {
			t.Fatalf("Of(%q) = %q, which is the token of %q", s, got, back)
		}
	})
}

// What stands in a subject may come from anybody.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "=", "==x", "=YS5i", "=YS5j\n", "=YWJj", "a.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if back, ok := Text(s); ok && Of(back) != s {
			t.Fatalf("Text(%q) = %q, whose token is %q", s, back, Of(back))
		}
	})
}
