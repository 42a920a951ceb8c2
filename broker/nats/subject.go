package nats

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// Tokens: an ID or a kind becomes one token of a subject (and part of the name
// of a consumer). Plain ones stay readable; all others are "=" and base64url.
// What would be too long is "==" and a hash, which only IDs ever need.
const (
	maxPlain   = 64
	maxEncoded = 180 // a consumer's name is a directory name of at most 255 bytes
	emptyToken = "="
)

var tokenEncoding = base64.RawURLEncoding

// token returns the token for s. Different strings have different tokens.
func token(s string) string {
	if s == "" {
		return emptyToken
	}
	if len(s) <= maxPlain && isPlain(s) {
		return s
	}
	if n := 1 + tokenEncoding.EncodedLen(len(s)); n <= maxEncoded {
		return "=" + tokenEncoding.EncodeToString([]byte(s))
	}
	sum := sha256.Sum256([]byte(s))
	return "==" + tokenEncoding.EncodeToString(sum[:])
}

// untoken is the inverse of token; false for a hash and for what token never
// gives.
func untoken(t string) (string, bool) {
	switch {
	case t == emptyToken:
		return "", true
	case strings.HasPrefix(t, "=="), t == "":
		return "", false
	case strings.HasPrefix(t, "="):
		b, err := tokenEncoding.DecodeString(t[1:])
		if err != nil || token(string(b)) != t {
			return "", false
		}
		return string(b), true
	}
	return t, token(t) == t
}

func isPlain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// names are the subjects and streams of one world, which a prefix sets apart
// from others on the same NATS server.
type names struct {
	prefix string

	requests, dead, outcomes, bucket string // streams; the bucket without "KV_"
	command, servers                 string // subjects
}

func newNames(prefix string) (names, error) {
	if prefix == "" || len(prefix) > 32 || !isPlain(prefix) || strings.ToLower(prefix) != prefix {
		return names{}, fmt.Errorf("prefix %q; want 1 to 32 of a-z, 0-9, - and _", prefix)
	}
	upper := strings.ToUpper(prefix)
	return names{
		prefix:   prefix,
		requests: upper + "_REQUESTS",
		dead:     upper + "_DEAD",
		outcomes: upper + "_OUTCOMES",
		bucket:   upper + "_PROGRESS",
		command:  prefix + ".command",
		servers:  prefix + ".servers",
	}, nil
}

func (n names) request(kind string) string  { return n.prefix + ".request." + token(kind) }
func (n names) optional(kind string) string { return n.prefix + ".optional." + token(kind) }
func (n names) control(id string) string    { return n.prefix + ".control." + token(id) }
func (n names) outcome(id string) string    { return n.prefix + ".outcome." + token(id) }
func (n names) progress(id string) string   { return "$KV." + n.bucket + "." + token(id) }

func (n names) deadLetter(kind, id string) string {
	return n.prefix + ".dead." + token(kind) + "." + token(id)
}

// deadOf matches the dead letters of an ID, whatever their kind; allDead
// matches all. No token is "*".
func (n names) deadOf(id string) string { return n.prefix + ".dead.*." + token(id) }
func (n names) allDead() string         { return n.prefix + ".dead.*.*" }

// progressStream is the stream behind the bucket.
func (n names) progressStream() string { return "KV_" + n.bucket }

// lastToken returns what follows the last dot of a subject.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
