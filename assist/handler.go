package assist

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

// The headers by which masters and assistants know each other.
const (
	headerMaster  = "Occamy-Assist-Master"  // of a request: the ID of the master to help
	headerJob     = "Occamy-Assist-Job"     // of a request: the job, in hexadecimal
	headerRoom    = "Occamy-Assist-Room"    // of an optional request: how many assistants are welcome
	headerMessage = "Occamy-Assist-Message" // of a control message: "report" or "grant"
)

const (
	sayReport = "report"
	sayGrant  = "grant"
)

// maxMaster bounds the ID of a master, so that those of its assistants, which
// begin with it, are IDs too.
const maxMaster = broker.MaxID - 32

// shape is what jobs of units and searches differ in.
type shape interface {
	// newMaster makes the task of a request. It calls the user's constructor, so
	// that a request which makes no sense is rejected at once.
	newMaster(ctx context.Context, h *handler, r occamy.Request) (occamy.Task, error)
	// newDuty makes what an assistant does. l is its link to the master.
	newDuty(ctx context.Context, h *handler, r occamy.Request, l *link) (duty, error)
}

// handler makes masters of requests, and assistants of the requests that masters
// send.
type handler struct {
	cfg    Config
	shape  shape
	client *client.Client // nil: masters work alone
	token  string         // in the IDs of what this process runs

	leaving leaving
}

func newHandler(s shape, cfg Config) *handler {
	h := &handler{cfg: cfg.withDefaults(), shape: s, token: randomToken()}
	if cfg.Broker != nil {
		h.client = client.New(cfg.Broker, client.WithHeaderKeys(h.cfg.Keys), client.WithGrace(0), client.WithInject(h.cfg.Inject))
	}
	return h
}

func randomToken() string { return strconv.FormatUint(rand.Uint64(), 36) }

// Handle implements occamy.Handler.
func (h *handler) Handle(ctx context.Context, r occamy.Request) (occamy.Task, error) {
	id, ok, err := text(r.Headers, headerMaster)
	if err != nil {
		return nil, err
	}
	if ok {
		return h.assistant(r, id)
	}
	if r.Optional {
		return nil, fmt.Errorf("%w: an optional request for kind %q must come from a master", occamy.ErrInvalidHeader, r.Kind)
	}
	return h.shape.newMaster(ctx, h, r)
}

func (h *handler) assistant(r occamy.Request, id string) (occamy.Task, error) {
	job, err := parseJob(r.Headers)
	switch {
	case err != nil:
		return nil, err
	case h.client == nil:
		return nil, fmt.Errorf("%w: %s: this server's tasks reach no others, as assist.Config.Broker is nil", occamy.ErrInvalidHeader, headerMaster)
	case broker.CheckID(id) != nil || len(id) > maxMaster:
		return nil, fmt.Errorf("%w: %s is not the ID of a master", occamy.ErrInvalidHeader, headerMaster)
	}
	own := r.ID
	if r.Optional {
		own = id + "/x" + h.token // one for each server
	}
	original := r
	original.ID, original.Optional = id, true
	original.Headers = maps.Clone(r.Headers)
	for _, key := range []string{headerMaster, headerJob, headerRoom} {
		delete(original.Headers, key)
	}
	a := h.newAssistant(original, job, own, &lull{})
	if r.Optional {
		a.link.root = true
		if s, _, _ := text(r.Headers, headerRoom); s != "" {
			a.link.room, _ = strconv.Atoi(s) // until the master says more
		}
		return &root{a}, nil
	}
	a.link.needed = true
	return a, nil
}

// text returns a header that is a string, and false when it is not there.
func text(h occamy.Headers, key string) (string, bool, error) {
	v, ok := h[key]
	if !ok {
		return "", false, nil
	}
	s, isString := v.(string)
	if !isString {
		return "", true, fmt.Errorf("%w: %s is a %T, not a string", occamy.ErrInvalidHeader, key, v)
	}
	return s, true, nil
}

func parseJob(h occamy.Headers) (job wire.Job, _ error) {
	s, _, err := text(h, headerJob)
	if err != nil {
		return job, err
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(job) {
		return job, fmt.Errorf("%w: %s does not name a job", occamy.ErrInvalidHeader, headerJob)
	}
	copy(job[:], b)
	return job, nil
}

// jobOf tells the jobs that bear one ID apart, by what was asked for. All
// attempts of one request are one job.
func (h *handler) jobOf(r occamy.Request) (job wire.Job) {
	sum := sha256.New()
	add := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		sum.Write(n[:])
		sum.Write(b)
	}
	add([]byte(r.Kind))
	add([]byte(r.ID))
	for _, key := range slices.Sorted(maps.Keys(r.Headers)) {
		// Brokers add headers that begin with x- when they move a message.
		if v, ok := r.Headers[key].(string); ok && h.own(key) && !strings.HasPrefix(key, "x-") && !ofTrace(key) {
			add([]byte(key))
			add([]byte(v))
		}
	}
	add(r.Body)
	copy(job[:], sum.Sum(nil))
	return job
}

// ofTrace says whether a header is one by which traces travel: it tells of who
// sent the message, and not of what was asked for.
func ofTrace(key string) bool {
	return key == "traceparent" || key == "tracestate" || key == "baggage"
}

// own says whether a header belongs to the request itself and goes along to its
// assistants: all do but those that say how to treat one message.
func (h *handler) own(key string) bool {
	k := &h.cfg.Keys
	switch key {
	case k.Kind, k.RequestID, k.TaskID, k.Command, k.Server, k.Timeout, k.Deadline, k.Outcome:
		return false
	}
	return true
}

// ownHeaders returns the headers that assistants get with the request.
func (h *handler) ownHeaders(r occamy.Request) occamy.Headers {
	headers := make(occamy.Headers, len(r.Headers)+2)
	for key, v := range r.Headers {
		// Those of a trace belong together, and Inject may not set all.
		if h.own(key) && (h.cfg.Inject == nil || !ofTrace(key)) {
			headers[key] = v
		}
	}
	return headers
}
