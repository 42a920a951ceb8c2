package nats

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
)

// stored is a message as a stream keeps it.
type stored struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"seq"`
	Header   []byte    `json:"hdrs"`
	Data     []byte    `json:"data"`
	Time     time.Time `json:"time"`
}

func (s stored) headers() natsgo.Header {
	if len(s.Header) == 0 {
		return natsgo.Header{}
	}
	h, err := natsgo.DecodeHeadersMsg(s.Header)
	if err != nil {
		return natsgo.Header{}
	}
	return h
}

type storedAnswer struct {
	apiAnswer
	Message stored `json:"message"`
}

// get asks the leader of a stream, which knows all that was confirmed, for one
// message. ErrNotFound where there is none.
func (b *Broker) get(ctx context.Context, stream string, query any) (stored, error) {
	answer, err := api[storedAnswer](ctx, b, "STREAM.MSG.GET."+stream, query)
	return answer.Message, err
}

func (b *Broker) lastBySubject(ctx context.Context, stream, subject string) (stored, error) {
	return b.get(ctx, stream, map[string]string{"last_by_subj": subject})
}

// purge removes the messages with a subject.
func (b *Broker) purge(ctx context.Context, stream, subject string) error {
	_, err := api[apiAnswer](ctx, b, "STREAM.PURGE."+stream, map[string]string{"filter": subject})
	if errors.Is(err, broker.ErrNotFound) {
		return nil
	}
	return err
}

// lastProgress returns nil when there is none.
func (b *Broker) lastProgress(ctx context.Context, key string) ([]byte, error) {
	s, err := b.lastBySubject(ctx, b.names.progressStream(), b.names.progress(key))
	if errors.Is(err, broker.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if first(s.headers(), "KV-Operation") != "" {
		return nil, nil // removed by NATS's own tools, which leave a marker
	}
	if s.Data == nil {
		s.Data = []byte{}
	}
	return s.Data, nil
}

// dropProgress asks NATS to remove progress and does not wait for the answer.
func (b *Broker) dropProgress(key string) error {
	body, err := json.Marshal(map[string]string{"filter": b.names.progress(key)})
	if err != nil {
		return err
	}
	// The answer goes to an inbox of ours where no call waits for it.
	return b.nc.PublishRequest(apiPrefix+"STREAM.PURGE."+b.names.progressStream(), b.calls.inbox+"0", body)
}
