package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// escape makes text that came from elsewhere safe for a terminal, on one line:
// what is not printable becomes a Go escape, such as \x1b.
func escape(s string) string { return escapeBut(s, "") }

// escapeLines is escape that leaves line ends and tabs.
func escapeLines(s string) string { return escapeBut(s, "\n\t") }

func escapeBut(s, keep string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r) || strings.ContainsRune(keep, r):
			b.WriteString(s[:n])
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// quote is escape in double quotes, for names inside messages.
func quote(s string) string { return `"` + escape(s) + `"` }

// quoteArg is quote for an argument that is not what was wanted: an address
// that stands in the wrong place may have a password.
func quoteArg(s string) string {
	if strings.Contains(s, "://") {
		s = redact(s)
	}
	return quote(s)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// clip shortens s to n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n-1, 0)]) + "…"
}

// isTerminal tells whether w is a terminal. It is false for what tests give.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printJSON prints v on one line of stdout. Characters that a terminal could
// take for commands are escaped, which JSON allows anywhere in its strings.
func (a *app) printJSON(v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode as JSON: %w", err)
	}
	var out strings.Builder
	for _, r := range strings.TrimSuffix(buf.String(), "\n") {
		switch {
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		}
	}
	_, err := fmt.Fprintln(a.stdout, out.String())
	return err
}

// say prints one line of text on stdout, escaped.
func (a *app) say(format string, args ...any) error {
	_, err := fmt.Fprintln(a.stdout, escape(fmt.Sprintf(format, args...)))
	return err
}

// report prints v as JSON, or else the line.
func (a *app) report(v any, format string, args ...any) error {
	if a.json {
		return a.printJSON(v)
	}
	return a.say(format, args...)
}

// printBytes prints what a task or a caller made.
func (a *app) printBytes(b []byte) error {
	_, err := a.stdout.Write(shown(b, isTerminal(a.stdout)))
	return err
}

// shown is what is printed of b: a file or a pipe gets it as it is, a terminal
// gets it escaped and with a line end.
func shown(b []byte, terminal bool) []byte {
	if !terminal {
		return b
	}
	return []byte(escapeLines(strings.TrimSuffix(string(b), "\n")) + "\n")
}
