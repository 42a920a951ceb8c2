// Package guard decides who may call an HTTP handler: whoever shows a token, has
// logged in with it in a browser, or has a client certificate; without either,
// whoever is on this machine and knows that the server is there. No page of
// another site may call it through its visitor's browser. It does not know what
// it guards.
package guard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// MinToken is how many characters a token has at least. A token is no password:
// nobody needs to remember it.
const MinToken = 16

// Config says who may call. The zero value lets in whoever calls the server by
// a name of this machine.
type Config struct {
	// Token lets in whoever shows it as "Authorization: Bearer TOKEN", or has
	// entered it at /login. "": there is none.
	Token string
	// Certificates lets in whoever has a client certificate that TLS verified.
	Certificates bool
	// Open are the paths that everybody may call.
	Open []string
	// Host is a name or address of this machine that calls may have in their
	// URL besides localhost and loopback addresses. It counts where there are
	// neither a token nor certificates: a page whose name was made to lead here
	// (DNS rebinding) is told by its name.
	Host string
}

// CheckToken returns what is wrong with a token.
func CheckToken(token string) error {
	if len(token) < MinToken {
		return fmt.Errorf("the token has %d characters, fewer than %d", len(token), MinToken)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("the token has characters that a header cannot carry")
	}
	return nil
}

// New returns a handler that passes on to next what may pass. It returns an
// error for a token that CheckToken refuses.
func New(c Config, next http.Handler) (http.Handler, error) {
	g := &guard{Config: c, next: next}
	if c.Token != "" {
		if err := CheckToken(c.Token); err != nil {
			return nil, err
		}
		sessions, err := newSessions(c.Token)
		if err != nil {
			return nil, err
		}
		g.sessions, g.token = sessions, sha256.Sum256([]byte(c.Token))
	}
	return g, nil
}

type guard struct {
	Config
	next     http.Handler
	sameSite http.CrossOriginProtection
	damper   damper
	token    [sha256.Size]byte // of Token
	sessions *sessions         // nil without a token
}

// knownKey is the key of the context of calls that may see everything.
type knownKey struct{}

// Known tells whether a request was let in for who sent it, or would have been.
// An open path is called by others too.
func Known(ctx context.Context) bool { return ctx.Value(knownKey{}) != nil }

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header(), r)
	if err := g.sameSite.Check(r); err != nil || elsewhere(r) {
		refuse(w, http.StatusForbidden, "the request comes from a page of another site", "open this server's own page")
		return
	}
	if g.sessions != nil && g.login(w, r) {
		return
	}
	open := slices.Contains(g.Open, r.URL.Path)
	who := g.who(r)
	switch {
	case who.known:
		ctx := context.WithValue(r.Context(), knownKey{}, true)
		if !who.until.IsZero() { // a stream ends with the session
			var end context.CancelFunc
			ctx, end = context.WithDeadline(ctx, who.until)
			defer end()
		}
		g.next.ServeHTTP(w, r.WithContext(ctx))
	case open:
		g.next.ServeHTTP(w, r)
	default:
		who.refuse(w, r)
	}
}

// secure sets the headers that every answer has. A handler that serves a page
// says what its page may do.
func secure(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if r.TLS != nil || IsLoopback(hostname(r.Host)) { // elsewhere browsers complain of it
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
}

// elsewhere tells that a page of another site has a browser fetch something,
// other than by a link that the visitor follows.
func elsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	link := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !link || r.Method != http.MethodGet
}

// who is the answer to who sent a request.
type who struct {
	known  bool
	until  time.Time                                    // zero: for ever
	refuse func(w http.ResponseWriter, r *http.Request) // unless known
}

func (g *guard) who(r *http.Request) who {
	switch {
	case g.Token == "" && !g.Certificates:
		if !g.here(r.Host) {
			return who{refuse: refuseHost}
		}
		return who{known: true}
	case g.Certificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return who{known: true}
	case g.Token == "":
		return who{refuse: refuseCertificate}
	}
	if until, ok := g.sessions.of(r); ok {
		return who{known: true, until: until}
	}
	shown, ok := bearer(r)
	if !ok {
		return who{refuse: askToken}
	}
	right, wait := g.damper.try(address(r), func() bool { return g.isToken(shown) })
	switch {
	case right:
		return who{known: true}
	case wait > 0:
		return who{refuse: func(w http.ResponseWriter, _ *http.Request) { refuseForNow(w, wait) }}
	}
	return who{refuse: refuseToken}
}

// isToken takes the same time whatever is shown.
func (g *guard) isToken(shown string) bool {
	sum := sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// bearer is the token that a request shows.
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

func refuseHost(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusForbidden, fmt.Sprintf("the host %.100q is none of this machine", r.Host),
		"call it localhost or 127.0.0.1; for other names, as behind a proxy, the server wants a token (OCCAMY_HTTP_TOKEN)")
}

func refuseCertificate(w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusUnauthorized, "there is no client certificate", "the server's operator says which authority signs them")
}

func refuseToken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="occamy", error="invalid_token"`)
	refuse(w, http.StatusUnauthorized, "the token is wrong", tokenHint)
}

const tokenHint = "the token is that of OCCAMY_HTTP_TOKEN or --http-token-file of the server; a browser gives it at /login"

// askToken sends a browser to the login, and tells others to show a token.
func askToken(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		toLogin(w, r)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="occamy"`)
	refuse(w, http.StatusUnauthorized, "there is no token", tokenHint)
}

func refuseForNow(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", seconds(wait))
	refuse(w, http.StatusTooManyRequests, "too many wrong tokens", "wait, and see which token is right")
}

// refuse answers as all that programs call here does.
func refuse(w http.ResponseWriter, status int, message, hint string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message, "hint": hint}) // the client may be gone
}
