package main

import "testing"

func TestATerminalGetsNoControlCharacters(t *testing.T) {
	result := []byte("one\ttwo\r\n" + hostile + "\xff\n")
	if got, want := string(shown(result, true)), "one\ttwo\\r\n"+hostileSafe+"\\xff\n"; got != want {
		t.Errorf("a terminal gets %q, want %q", got, want)
	}
	if got := string(shown(result, false)); got != string(result) {
		t.Errorf("a pipe gets %q, want what the task made", got)
	}
}

func TestEscape(t *testing.T) {
	for given, want := range map[string]string{
		"":                 "",
		"plain, naïve, 日本": "plain, naïve, 日本",
		hostile:            hostileSafe,
		"two\nlines\ttab":  `two\nlines\ttab`,
		"\xfe\ufffd":       "\\xfe\ufffd",
		"\u200b\U000e0001": `\u200b\U000e0001`,
	} {
		if got := escape(given); got != want {
			t.Errorf("escape(%q) = %q, want %q", given, got, want)
		}
	}
}
