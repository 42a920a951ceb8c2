package guard

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

const (
	sessionTime = 12 * time.Hour
	maxEnded    = 4096 // sessions that were logged out of and would not have ended

	// keyRounds make it slow to find out a token from a stolen cookie.
	keyRounds = 100_000
)

// sessions are those of browsers that have logged in. A session is a cookie with
// its end in it, signed with a key that is derived from the token: so all
// servers with one token take it, none keeps anything, and another token ends
// all. Only what was logged out of is remembered, here.
type sessions struct {
	key    []byte
	cookie string // its name without a prefix

	mu    sync.Mutex
	ended map[nonce]time.Time // when they would have; guarded by mu
}

type nonce [16]byte

// session is what a cookie says.
type session struct {
	until time.Time
	nonce nonce
}

const (
	signedSize  = 8 + len(nonce{})
	sessionSize = signedSize + sha256.Size
)

func newSessions(token string) (*sessions, error) {
	key, err := pbkdf2.Key(sha256.New, token, []byte("occamy http session"), keyRounds, sha256.Size)
	if err != nil {
		return nil, err
	}
	s := &sessions{key: key, ended: make(map[nonce]time.Time)}
	// Browsers share cookies among the ports of a machine, whose servers may have
	// different tokens.
	s.cookie = "occamy-" + hex.EncodeToString(s.sign([]byte("name"))[:4])
	return s, nil
}

func (s *sessions) sign(b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(b)
	return h.Sum(nil)
}

// name is the cookie's name. Over TLS browsers see to it that it comes from this
// very server.
func (s *sessions) name(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-" + s.cookie
	}
	return s.cookie
}

// begin makes a cookie for a new session.
func (s *sessions) begin(r *http.Request) *http.Cookie {
	var n nonce
	_, _ = rand.Read(n[:]) // never fails
	b := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(sessionTime).Unix()))
	b = append(b, n[:]...)
	b = append(b, s.sign(b)...)
	return s.bake(r, base64.RawURLEncoding.EncodeToString(b), int(sessionTime.Seconds()))
}

func (s *sessions) bake(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: s.name(r), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
}

// of returns until when the session of a request lasts, if it has one.
func (s *sessions) of(r *http.Request) (until time.Time, ok bool) {
	v, ok := s.read(r)
	return v.until, ok
}

func (s *sessions) read(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(s.name(r))
	if err != nil {
		return session{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cookie.Value)
	if err != nil || len(b) != sessionSize || !hmac.Equal(b[signedSize:], s.sign(b[:signedSize])) {
		return session{}, false
	}
	v := session{until: time.Unix(int64(binary.BigEndian.Uint64(b)), 0), nonce: nonce(b[8:signedSize])}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ended := s.ended[v.nonce]
	return v, !ended && time.Now().Before(v.until)
}

// end ends the session of a request and makes the cookie that says so.
func (s *sessions) end(r *http.Request) *http.Cookie {
	if v, ok := s.read(r); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(time.Now())
		s.ended[v.nonce] = v.until
	}
	return s.bake(r, "", -1)
}

// forget is called with mu held.
func (s *sessions) forget(now time.Time) {
	for n, until := range s.ended {
		if len(s.ended) >= maxEnded || !until.After(now) {
			delete(s.ended, n)
		}
	}
}
