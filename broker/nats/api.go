package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker"
)

// Codes of JetStream's API.
const (
	codeNoPeers         = 10005 // too few servers for the replicas
	codeNoConsumer      = 10014
	codeNoMessage       = 10037
	codeTooLarge        = 10054 // the message is over the limit of its stream
	codeStreamNameTaken = 10058 // by a stream with another configuration
	codeNoStream        = 10059
	codeNoReplicas      = 10074 // the NATS server is in no cluster
	codeFilterlessTaken = 10099 // a work queue has a consumer without a filter
	codeFilterTaken     = 10100 // a work queue has a consumer with that filter
	codeConsumerTaken   = 10148 // by a consumer with another configuration
	codeUnderWay        = 10158 // a cluster has yet to agree on an earlier try to publish this
)

func isCode(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode == code {
			return true
		}
	}
	return false
}

// apiAnswer is the part that all answers of JetStream's API share.
type apiAnswer struct {
	Error *jetstream.APIError `json:"error"`
}

func (a *apiAnswer) failed() *jetstream.APIError { return a.Error }

// answerOf is a pointer to an answer of JetStream's API.
type answerOf[A any] interface {
	*A
	failed() *jetstream.APIError
}

// apiOnce calls JetStream's API once. The answer is a new one for each call: what
// JSON leaves out stays as it was, and an error of an earlier try with it.
func apiOnce[A any, P answerOf[A]](ctx context.Context, b *Broker, method string, query any) (A, error) {
	return apiWithin[A, P](ctx, b, method, query, tryTime)
}

// inform is apiOnce for the state of a stream or a consumer. NATS says nothing of
// one that somebody made just now until it has a leader, so it is asked again
// soon, and ever less often.
func inform[A any, P answerOf[A]](ctx context.Context, b *Broker, method string) (A, error) {
	for wait := tryTime / 64; ; wait *= 2 {
		answer, err := apiWithin[A, P](ctx, b, method, nil, wait)
		if wait >= tryTime || !errors.Is(err, errNoWord) {
			return answer, err
		}
	}
}

func apiWithin[A any, P answerOf[A]](ctx context.Context, b *Broker, method string, query any, wait time.Duration) (answer A, err error) {
	var body []byte
	if query != nil {
		if body, err = json.Marshal(query); err != nil {
			return answer, fmt.Errorf("nats: %w", err)
		}
	}
	m, err := b.ask(ctx, apiPrefix+method, nil, body, wait)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return answer, fmt.Errorf("nats: %s: unreadable answer: %w", method, err)
	}
	if e := P(&answer).failed(); e != nil {
		return answer, fmt.Errorf("nats: %s: %w", method, e)
	}
	return answer, nil
}

const apiPrefix = "$JS.API."

// api is apiOnce, tried until JetStream answers or ctx ends. ErrNotFound stands
// for a message or a stream that is not there.
func api[A any, P answerOf[A]](ctx context.Context, b *Broker, method string, query any) (answer A, err error) {
	err = b.retry(ctx, func() (err error) {
		answer, err = apiOnce[A, P](ctx, b, method, query)
		return err
	})
	if isCode(err, codeNoMessage, codeNoStream) {
		err = broker.ErrNotFound
	}
	return answer, err
}

// passing says whether another try may overcome err.
func passing(err error) bool {
	if err == nil {
		return false
	}
	for _, e := range []error{
		errDown, errCut, errNobody, errNoWord,
		natsgo.ErrTimeout, natsgo.ErrDisconnected,
		natsgo.ErrReconnectBufExceeded, natsgo.ErrConnectionReconnecting,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.Code == 503 || api.ErrorCode == codeUnderWay)
}

type streamInfo struct {
	apiAnswer
	jetstream.StreamInfo
}

// askStream returns what NATS says of a stream.
func (b *Broker) askStream(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	info, err := inform[streamInfo](ctx, b, "STREAM.INFO."+name)
	if err != nil {
		return nil, err
	}
	return &info.StreamInfo, nil
}

func (b *Broker) createStream(ctx context.Context, cfg jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	info, err := apiOnce[streamInfo](ctx, b, "STREAM.CREATE."+cfg.Name, cfg)
	if err != nil {
		return nil, err
	}
	return &info.StreamInfo, nil
}

type subjectsPage struct {
	apiAnswer
	Total int                   `json:"total"`
	State jetstream.StreamState `json:"state"`
}

// countSubjects returns how many messages a stream has, by subject.
func (b *Broker) countSubjects(ctx context.Context, stream, filter string) (map[string]int, error) {
	counts := make(map[string]int)
	for {
		query := map[string]any{"subjects_filter": filter, "offset": len(counts)}
		page, err := apiOnce[subjectsPage](ctx, b, "STREAM.INFO."+stream, query)
		if isCode(err, codeNoStream) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for subject, n := range page.State.Subjects {
			counts[subject] = int(n)
		}
		if len(page.State.Subjects) == 0 || len(counts) >= page.Total {
			return counts, nil
		}
	}
}

type consumerInfo struct {
	apiAnswer
	jetstream.ConsumerInfo
}

func (b *Broker) askConsumer(ctx context.Context, stream, name string) (*jetstream.ConsumerInfo, error) {
	info, err := inform[consumerInfo](ctx, b, "CONSUMER.INFO."+stream+"."+name)
	if err != nil {
		return nil, err
	}
	return &info.ConsumerInfo, nil
}

func (b *Broker) createConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	query := struct {
		Stream string                   `json:"stream_name"`
		Config jetstream.ConsumerConfig `json:"config"`
		Action string                   `json:"action"`
	}{stream, cfg, "create"}
	method := "CONSUMER.CREATE." + stream + "." + cfg.Durable + "." + cfg.FilterSubject
	info, err := apiOnce[consumerInfo](ctx, b, method, query)
	if err != nil {
		return nil, err
	}
	return &info.ConsumerInfo, nil
}

type consumersPage struct {
	apiAnswer
	Total     int                      `json:"total"`
	Consumers []jetstream.ConsumerInfo `json:"consumers"`
}

// listConsumers returns all consumers of a stream, none when it is missing. While
// others are being made, pages may overlap.
func (b *Broker) listConsumers(ctx context.Context, stream string) (all []jetstream.ConsumerInfo, err error) {
	known := make(map[string]bool)
	for offset := 0; ; {
		page, err := apiOnce[consumersPage](ctx, b, "CONSUMER.LIST."+stream, map[string]int{"offset": offset})
		if isCode(err, codeNoStream) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, info := range page.Consumers {
			if !known[info.Name] {
				known[info.Name] = true
				all = append(all, info)
			}
		}
		offset += len(page.Consumers)
		if len(page.Consumers) == 0 || offset >= page.Total {
			return all, nil
		}
	}
}
