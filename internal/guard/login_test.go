package guard_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy/internal/guard"
)

func loginForm(path, shown, next string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(url.Values{"token": {shown}, "next": {next}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// login returns the cookie of a new session.
func login(t *testing.T, h http.Handler, overTLS bool) *http.Cookie {
	t.Helper()
	form := loginForm("/login", token, "/")
	if overTLS {
		form.TLS = &tls.ConnectionState{}
	}
	r := do(h, form)
	if r.StatusCode != http.StatusSeeOther || len(r.Cookies()) != 1 {
		t.Fatalf("login: %d, %v", r.StatusCode, r.Header)
	}
	return r.Cookies()[0]
}

func with(c *http.Cookie, method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.AddCookie(c)
	r.TLS = &tls.ConnectionState{}
	if !c.Secure {
		r.TLS = nil
	}
	return r
}

func TestTheSessionCookie(t *testing.T) {
	h := guarded(t, guard.Config{Token: token})
	plain, secure := login(t, h, false), login(t, h, true)
	for _, c := range []*http.Cookie{plain, secure} {
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
			t.Errorf("the cookie %v is too open", c)
		}
		if strings.Contains(c.Value, token) {
			t.Error("the cookie has the token in it")
		}
		if got := do(h, with(c, "GET", "/x")).StatusCode; got != 200 {
			t.Errorf("with it: %d", got)
		}
	}
	if plain.Secure || !secure.Secure || !strings.HasPrefix(secure.Name, "__Host-") {
		t.Errorf("over TLS it is %v, otherwise %v", secure, plain)
	}
	if plain.Value == login(t, h, false).Value {
		t.Error("two sessions have one cookie")
	}
}

// Servers of a fleet with one token share sessions; another token ends them.
func TestASessionIsGoodForTheToken(t *testing.T) {
	c := login(t, guarded(t, guard.Config{Token: token}), false)
	if got := do(guarded(t, guard.Config{Token: token}), with(c, "GET", "/x")).StatusCode; got != 200 {
		t.Errorf("another server with the token: %d", got)
	}
	other := guarded(t, guard.Config{Token: token + "2"})
	c.Name = login0(t, other).Name // browsers would not even send it
	if got := do(other, with(c, "GET", "/x")).StatusCode; got != 401 {
		t.Errorf("a server with another token: %d", got)
	}
}

func login0(t *testing.T, h http.Handler) *http.Cookie {
	t.Helper()
	r := do(h, loginForm("/login", token+"2", "/"))
	if len(r.Cookies()) != 1 {
		t.Fatal("no cookie")
	}
	return r.Cookies()[0]
}

func TestCookiesThatNobodyMade(t *testing.T) {
	h := guarded(t, guard.Config{Token: token})
	good := login(t, h, false)
	for i := range good.Value {
		c := *good
		flipped := byte('A')
		if c.Value[i] == 'A' {
			flipped = 'B'
		}
		c.Value = c.Value[:i] + string(flipped) + c.Value[i+1:]
		if got := do(h, with(&c, "GET", "/x")).StatusCode; got != 401 {
			t.Fatalf("with character %d changed: %d", i, got)
		}
	}
	for _, value := range []string{"", "x", good.Value + "A", good.Value[:len(good.Value)-1], strings.Repeat("A", 4000), good.Value + "=="} {
		c := *good
		c.Value = value
		if got := do(h, with(&c, "GET", "/x")).StatusCode; got != 401 {
			t.Errorf("%.20q: %d", value, got)
		}
	}
}

func TestASessionEnds(t *testing.T) {
	t.Run("with time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan struct{})
			h, err := guard.New(guard.Config{Token: token}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stream" {
					<-r.Context().Done()
					close(ended)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			c := login(t, h, false)
			go do(h, with(c, "GET", "/stream"))
			time.Sleep(12*time.Hour - time.Minute)
			synctest.Wait()
			select {
			case <-ended:
				t.Error("a stream ends before the session")
			default:
			}
			if got := do(h, with(c, "GET", "/x")).StatusCode; got != 200 {
				t.Errorf("before its end: %d", got)
			}
			time.Sleep(2 * time.Minute)
			<-ended
			if got := do(h, with(c, "GET", "/x")).StatusCode; got != 401 {
				t.Errorf("after its end: %d", got)
			}
		})
	})
	t.Run("with a logout", func(t *testing.T) {
		h := guarded(t, guard.Config{Token: token})
		c, other := login(t, h, false), login(t, h, false)
		r := do(h, with(c, "POST", "/logout"))
		if r.StatusCode != 303 || r.Header.Get("Location") != "/login" || len(r.Cookies()) != 1 || r.Cookies()[0].MaxAge >= 0 {
			t.Errorf("logout: %d, %v", r.StatusCode, r.Header)
		}
		if got := do(h, with(c, "GET", "/x")).StatusCode; got != 401 {
			t.Errorf("the cookie afterwards: %d", got)
		}
		if got := do(h, with(other, "GET", "/x")).StatusCode; got != 200 {
			t.Errorf("another session: %d", got)
		}
	})
	t.Run("not by a page of another site", func(t *testing.T) {
		h := guarded(t, guard.Config{Token: token})
		c := login(t, h, false)
		r := with(c, "POST", "/logout")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := do(h, r).StatusCode; got != 403 {
			t.Errorf("%d", got)
		}
		if got := do(h, with(c, "GET", "/logout")).StatusCode; got != 405 {
			t.Errorf("by a link: %d", got)
		}
		if got := do(h, with(c, "GET", "/x")).StatusCode; got != 200 {
			t.Errorf("afterwards: %d", got)
		}
	})
}

func TestTheLoginLeadsBackHereAndNowhereElse(t *testing.T) {
	h := guarded(t, guard.Config{Token: token})
	for next, want := range map[string]string{
		"/task/a?b=c%20d": "/task/a?b=c%20d", "/": "/", "": "/",
		"//evil.example/x": "/", "https://evil.example": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "/\tevil": "/",
		"javascript:alert(1)": "/", "http:evil": "/", "///evil.example": "/", "/login": "/", "/login?next=/login": "/", "/logout": "/", "/%zz": "/",
	} {
		r := do(h, loginForm("/login", token, next))
		if got := r.Header.Get("Location"); r.StatusCode != 303 || got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func TestTheLoginPage(t *testing.T) {
	h := guarded(t, guard.Config{Token: token})
	r := do(h, httptest.NewRequest("GET", "/login?next="+url.QueryEscape(`/x?"><script>alert(1)</script>`), nil))
	text := body(t, r)
	if r.StatusCode != 200 || strings.Contains(text, "<script") || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d, %v, %s", r.StatusCode, r.Header, text)
	}
	in := do(h, with(login(t, h, false), "GET", "/login"))
	if text := body(t, in); !strings.Contains(text, `action="/logout"`) || strings.Contains(text, `name="token"`) {
		t.Errorf("who is logged in sees %s", text)
	}
	if css := do(h, httptest.NewRequest("GET", "/login.css", nil)); css.StatusCode != 200 || !strings.HasPrefix(css.Header.Get("Content-Type"), "text/css") {
		t.Errorf("its style: %d, %v", css.StatusCode, css.Header)
	}
	for shown, status := range map[string]int{"guess": 401, "": 401, strings.Repeat("x", 5000): 400, strings.Repeat("x", 50_000): 400} {
		r := do(h, loginForm("/login", shown, "/next"))
		text := body(t, r)
		if r.StatusCode != status || len(r.Cookies()) > 0 || !strings.Contains(text, `role="alert"`) || shown != "" && strings.Contains(text, shown) {
			t.Errorf("%.10q: %d, %s", shown, r.StatusCode, text)
		}
	}
	if got := do(h, loginForm("/login?token="+token, "", "/")).StatusCode; got != 401 {
		t.Errorf("a token in the address: %d", got)
	}
	if got := do(h, httptest.NewRequest("DELETE", "/login", nil)).StatusCode; got != 405 {
		t.Errorf("another method: %d", got)
	}
}
