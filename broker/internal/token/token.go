// Package token makes names that any broker takes of IDs and kinds, which may
// have any characters.
package token

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Plain ones stay readable; all others are "=" and base64url. What would be too
// long is "==" and a hash, which only IDs ever need.
const (
	maxPlain   = 64
	maxEncoded = 180 // names of queues and directories have at most 255 bytes
	empty      = "="
)

var encoding = base64.RawURLEncoding

// Of returns the token for s, of up to 180 bytes: letters, digits, -, _ and =.
// Different strings have different tokens.
func Of(s string) string {
	if s == "" {
		return empty
	}
	if len(s) <= maxPlain && IsPlain(s) {
		return s
	}
	if n := 1 + encoding.EncodedLen(len(s)); n <= maxEncoded {
		return "=" + encoding.EncodeToString([]byte(s))
	}
	sum := sha256.Sum256([]byte(s))
	return "==" + encoding.EncodeToString(sum[:])
}

// Text is the inverse of Of; false for a hash and for what Of never gives.
func Text(t string) (string, bool) {
	switch {
	case t == empty:
		return "", true
	case strings.HasPrefix(t, "=="), t == "":
		return "", false
	case strings.HasPrefix(t, "="):
		b, err := encoding.DecodeString(t[1:])
		if err != nil || Of(string(b)) != t {
			return "", false
		}
		return string(b), true
	}
	return t, Of(t) == t
}

// IsPlain says whether s has only letters, digits, - and _.
func IsPlain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
