package guard

import (
	_ "embed" // of the page
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	loginPath  = "/login"
	logoutPath = "/logout"
	stylePath  = "/login.css"

	// maxToken is how long what somebody enters may be.
	maxToken = 4096
)

//go:embed login.html
var loginText string

//go:embed login.css
var loginStyle []byte

var loginPage = template.Must(template.New("login").Parse(loginText))

// loginPolicy lets the page have its own style and send its own form.
const loginPolicy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// loginView is what the page shows.
type loginView struct {
	Next    string
	Problem string // "": none

	LoggedIn bool // then it shows how to log out, and no more
}

// login answers what concerns logging in and out. It tells whether it did.
func (g *guard) login(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case loginPath:
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			_, in := g.sessions.of(r)
			showLogin(w, http.StatusOK, loginView{Next: local(r.URL.Query().Get("next")), LoggedIn: in})
		case http.MethodPost:
			g.enter(w, r)
		default:
			notAllowed(w, "GET, HEAD, POST")
		}
	case logoutPath:
		if r.Method != http.MethodPost {
			notAllowed(w, "POST")
			return true
		}
		http.SetCookie(w, g.sessions.end(r))
		http.Redirect(w, r, loginPath, http.StatusSeeOther)
	case stylePath:
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = w.Write(loginStyle) // the client may be gone
	default:
		return false
	}
	return true
}

// enter takes the token of the form.
func (g *guard) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4*maxToken)
	err := r.ParseForm()
	next, shown := local(r.PostForm.Get("next")), strings.TrimSpace(r.PostForm.Get("token"))
	if err != nil || len(shown) > maxToken {
		showLogin(w, http.StatusBadRequest, loginView{Next: next, Problem: "That cannot be a token."})
		return
	}
	right, wait := g.damper.try(address(r), func() bool { return g.isToken(shown) })
	switch {
	case right:
		http.SetCookie(w, g.sessions.begin(r))
		http.Redirect(w, r, next, http.StatusSeeOther)
	case wait > 0:
		w.Header().Set("Retry-After", seconds(wait))
		showLogin(w, http.StatusTooManyRequests, loginView{Next: next, Problem: "Too many wrong tokens. Try again in " + seconds(wait) + " s."})
	default:
		showLogin(w, http.StatusUnauthorized, loginView{Next: next, Problem: "That token is wrong."})
	}
}

func showLogin(w http.ResponseWriter, status int, v loginView) {
	w.Header().Set("Content-Security-Policy", loginPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = loginPage.Execute(w, v) // the client may be gone
}

// toLogin sends a browser to the login, which sends it back.
func toLogin(w http.ResponseWriter, r *http.Request) {
	to := loginPath
	if next := local(r.URL.RequestURI()); next != "/" {
		to += "?next=" + url.QueryEscape(next)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// local is where to go on this server: "/" in place of what leads elsewhere.
func local(next string) string {
	u, err := url.Parse(next)
	switch {
	case err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "",
		!strings.HasPrefix(next, "/"), strings.HasPrefix(next, "//"),
		strings.ContainsFunc(next, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }),
		u.Path == loginPath, u.Path == logoutPath:
		return "/"
	}
	return next
}

func notAllowed(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	refuse(w, http.StatusMethodNotAllowed, "that is not how this path is called", "it takes "+methods)
}

// seconds is a wait for people and for Retry-After, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int(d/time.Second) + 1) }
