package broker

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/occamy-go/occamy"
)

// ErrInvalid is wrapped by the error for a request, ID, kind or header that no
// adapter takes, whatever the state of the broker. Trying again is of no use.
var ErrInvalid = errors.New("broker: invalid")

// The longest ID and kind, in bytes.
const (
	MaxID   = 512
	MaxKind = 128
)

// CheckID says whether id can name a request or a task: up to MaxID bytes of
// valid UTF-8 without control characters, neither empty nor with a space at
// either end (a broker that carries it in a header may trim those). All else
// is allowed, so an adapter encodes it wherever the broker gives a character a
// meaning. The error wraps ErrInvalid.
func CheckID(id string) error { return checkName("ID", id, MaxID) }

// CheckKind is CheckID for kinds, of up to MaxKind bytes.
func CheckKind(kind string) error { return checkName("kind", kind, MaxKind) }

func checkName(what, s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: the %s is empty", ErrInvalid, what)
	case len(s) > most:
		return fmt.Errorf("%w: the %s has %d bytes; at most %d are allowed", ErrInvalid, what, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: the %s %q is not UTF-8", ErrInvalid, what, s)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%w: the %s %q has a control character", ErrInvalid, what, s)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("%w: the %s %q begins or ends with a space", ErrInvalid, what, s)
	}
	return nil
}

// Check says whether r can be submitted: a kind and an ID that CheckKind and
// CheckID allow, and headers that CheckHeaders allows.
func (r Request) Check() error {
	return errors.Join(CheckKind(r.Kind), CheckID(r.ID), CheckHeaders(r.Headers))
}

// CheckOptional is Check for an optional request, which needs no ID.
func (r Request) CheckOptional() error {
	if r.ID == "" {
		return errors.Join(CheckKind(r.Kind), CheckHeaders(r.Headers))
	}
	return r.Check()
}

// CheckHeaders says whether every adapter can carry h: keys are printable
// ASCII without space, colon or quotation mark, and values are of the types
// that HeaderText takes. The error wraps ErrInvalid and names each bad header.
func CheckHeaders(h occamy.Headers) error {
	var errs []error
	for key, value := range h {
		if !validKey(key) {
			errs = append(errs, fmt.Errorf("%w: header key %q; want printable ASCII without space, colon or quotation mark", ErrInvalid, key))
		}
		if _, err := HeaderText(value); err != nil {
			errs = append(errs, fmt.Errorf("header %q: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func validKey(key string) bool {
	if key == "" || len(key) > MaxKind {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c > '~' || c == ':' || c == '"' {
			return false
		}
	}
	return true
}

// CheckTopic says whether topic can be one of a Feed. The error wraps ErrInvalid.
func CheckTopic(topic string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	if topic == "" || len(topic) > 32 || strings.ContainsFunc(topic, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("%w: the topic %.40q; want 1 to 32 of a-z, 0-9, - and _", ErrInvalid, topic)
	}
	return nil
}
