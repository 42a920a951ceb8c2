package dashboard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

const (
	maxID     = 1024    // bytes
	maxResult = 1 << 16 // bytes of a result that the page shows
)

// outcome is an occamy.Outcome for people: its result is bounded, and text where
// it can be.
type outcome struct {
	Status    occamy.OutcomeStatus `json:"status"`
	Kind      string               `json:"kind,omitempty"`
	Reason    string               `json:"reason,omitempty"`
	Attempt   int                  `json:"attempt,omitempty"`
	Server    string               `json:"server,omitempty"`
	Result    string               `json:"result,omitempty"`
	Encoding  string               `json:"encoding,omitempty"` // "base64" where the result is no text
	Size      int                  `json:"size"`               // of the whole result, in bytes
	Truncated bool                 `json:"truncated,omitempty"`
}

func readable(o occamy.Outcome) *outcome {
	shown := o.Result[:min(len(o.Result), maxResult)]
	r := &outcome{Status: o.Status, Kind: o.Kind, Reason: o.Reason, Attempt: o.Attempt, Server: o.Server,
		Size: len(o.Result), Truncated: len(shown) < len(o.Result)}
	if utf8.Valid(o.Result) {
		r.Result = strings.ToValidUTF8(string(shown), "") // the cut may have split a character
	} else {
		r.Result, r.Encoding = base64.StdEncoding.EncodeToString(shown), "base64"
	}
	return r
}

// idOf returns the ID that a call names; "" when it has answered that there is none.
func idOf(w http.ResponseWriter, r *http.Request) string {
	id := r.PathValue("id")
	if id == "" {
		id = r.URL.Query().Get("id")
	}
	if id == "" || len(id) > maxID || !utf8.ValidString(id) {
		refuse(w, http.StatusBadRequest, "the call names no valid ID", "?id= names it, at most 1024 bytes of UTF-8")
		return ""
	}
	return id
}

func (p *page) task(w http.ResponseWriter, r *http.Request) {
	id := idOf(w, r)
	if id == "" {
		return
	}
	answer := struct {
		ID string `json:"id"`
		Task
		Outcome *outcome `json:"outcome"`
		Problem string   `json:"problem,omitempty"` // why the outcome is not known
	}{ID: id}
	known := false
	answer.Task, known = p.Fleet.Task(id)
	if answer.Slots == nil {
		answer.Slots = []any{}
	}
	if answer.Events == nil {
		answer.Events = []any{}
	}
	if p.Client != nil {
		ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
		defer cancel()
		switch o, err := p.Client.Result(ctx, id); {
		case err == nil:
			answer.Outcome, known = readable(o), true
		case !errors.Is(err, broker.ErrNotFound) && !errors.Is(err, broker.ErrInvalid):
			answer.Problem, known = "the broker did not tell the outcome: "+err.Error(), true
		}
	}
	if !known {
		refuse(w, http.StatusNotFound, "nothing is known of this task", "it may wait in a queue, or have ended long ago")
		return
	}
	send(w, http.StatusOK, answer)
}

type command func(c Client, ctx context.Context, id string) error

func (p *page) command(do command) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.Client == nil {
			refuse(w, http.StatusForbidden, "this page only shows", "use the command line: occamy cancel, drain, resume")
			return
		}
		id := idOf(w, r)
		if id == "" {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
		defer cancel()
		if err := do(p.Client, ctx, id); err != nil {
			status, hint := http.StatusBadGateway, "is the broker reachable? try again"
			if errors.Is(err, broker.ErrInvalid) {
				status, hint = http.StatusBadRequest, "is the ID right?"
			}
			refuse(w, status, err.Error(), hint)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func refuse(w http.ResponseWriter, status int, problem, hint string) {
	send(w, status, map[string]string{"error": problem, "hint": hint})
}

func send(w http.ResponseWriter, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written","hint":"tell the maintainers"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // who has gone needs none
}
