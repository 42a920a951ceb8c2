package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/occamy-go/occamy"
)

// Fleet is what the page shows: a view of all servers that has versions. Of makes
// one of a fleet.View.
type Fleet interface {
	// Since returns what is newer than version v, as a value that encodes into
	// JSON, and the version that it leads to; for v = 0 everything.
	Since(v uint64) (update any, version uint64)
	// Wait returns nil once there is something newer than v, or the error of ctx.
	Wait(ctx context.Context, v uint64) error
	// Task returns what is known of the tasks that bear an ID or work for it.
	Task(id string) (Task, bool)
}

// Task is what a fleet knows of a task. The values encode into JSON.
type Task struct {
	Slots    any `json:"slots"`    // where it runs, and its assistants; a list
	Events   any `json:"events"`   // its life, oldest first; a list
	Progress any `json:"progress"` // nil for none
}

// Client does what the buttons of the page ask for, and finds results.
// *client.Client is one.
type Client interface {
	Cancel(ctx context.Context, id string) error
	Drain(ctx context.Context, server string) error
	Resume(ctx context.Context, server string) error
	Result(ctx context.Context, id string) (occamy.Outcome, error)
}

// Config says what a page shows and what it may do.
type Config struct {
	Fleet Fleet // required
	// Client is nil for a page that only shows.
	Client Client
	// MaxStreams is how many pages may be open at a time; 0 means 64. Who comes
	// then is told to try again.
	MaxStreams int
	// Done ends all streams when it is closed, so that a shutdown of the HTTP
	// server need not wait for them. They end with their request's context too.
	Done <-chan struct{}
}

const (
	maxStreams  = 64
	callTimeout = 5 * time.Second
)

// New returns the handler of the page, to be mounted at /. It panics if c has no
// Fleet. It starts nothing.
func New(c Config) http.Handler {
	if c.Fleet == nil {
		panic("dashboard: Config.Fleet is nil")
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = maxStreams
	}
	p := &page{Config: c, assets: newAssets(), streams: make(chan struct{}, c.MaxStreams)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.assets.page)
	mux.HandleFunc("GET /task/{id...}", p.assets.page)
	mux.HandleFunc("GET /assets/{name}", p.assets.serve)
	mux.HandleFunc("GET /favicon.ico", p.assets.icon)
	mux.HandleFunc("GET /api/fleet", p.stream)
	mux.HandleFunc("GET /api/task", p.task)
	mux.HandleFunc("GET /api/tasks/{id}", p.task)
	for path, do := range map[string]command{
		"/api/task/cancel":         (Client).Cancel,
		"/api/tasks/{id}/cancel":   (Client).Cancel,
		"/api/server/drain":        (Client).Drain,
		"/api/servers/{id}/drain":  (Client).Drain,
		"/api/server/resume":       (Client).Resume,
		"/api/servers/{id}/resume": (Client).Resume,
	} {
		mux.HandleFunc("POST "+path, p.command(do))
	}
	var sameSite http.CrossOriginProtection
	sameSite.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "the call comes from a page of another site", "open this server's own page")
	}))
	return secured(sameSite.Handler(mux))
}

type page struct {
	Config
	assets  *assets
	streams chan struct{} // holds one for each open stream
}

// policy lets the page load what the handler serves, call it, and do nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
