package natskv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/checkpoint"
)

// stored is the last message of a key.
type stored struct {
	seq     uint64
	value   []byte
	removed bool // it is the mark of a removal
}

// operationHeader marks a removal in a bucket.
const operationHeader = "KV-Operation"

// What NATS says when the last message of a subject is not the expected one;
// the second where such a message is still on its way to the others of a
// cluster.
const (
	codeWrongSequence         = jetstream.JSErrCodeStreamWrongLastSequence
	codeWrongSequenceOnTheWay = jetstream.ErrorCode(10164)

	codeNoMessage = jetstream.JSErrCodeMessageNotFound
)

func asConflict(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == codeWrongSequence || api.ErrorCode == codeWrongSequenceOnTheWay) {
		return fmt.Errorf("%w: %w", checkpoint.ErrConflict, err)
	}
	return err
}

// last asks the leader of the stream, which knows all that was confirmed, for
// the last message of a key.
func (s *Store) last(ctx context.Context, key string) (stored, error) {
	query, err := json.Marshal(map[string]string{"last_by_subj": s.prefix + nameOf(key)})
	if err != nil {
		return stored{}, err
	}
	m, err := s.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+s.stream, query)
	if err != nil {
		return stored{}, told(ctx, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return stored{}, fmt.Errorf("answer of the NATS server: %w", err)
	}
	switch {
	case answer.Error != nil && answer.Error.ErrorCode == codeNoMessage:
		return stored{}, checkpoint.ErrNotFound
	case answer.Error != nil:
		return stored{}, answer.Error
	case answer.Message == nil:
		return stored{}, errors.New("answer of the NATS server: no message in it")
	}
	is := stored{seq: answer.Message.Sequence, value: answer.Message.Data}
	if len(answer.Message.Header) > 0 {
		h, err := natsgo.DecodeHeadersMsg(answer.Message.Header)
		if err != nil {
			return stored{}, fmt.Errorf("answer of the NATS server: %w", err)
		}
		is.removed = h.Get(operationHeader) != "" || h.Get(jetstream.MarkerReasonHeader) != ""
	}
	return is, nil
}

// nameOf is a key as the bucket has it.
func nameOf(key string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(key)+16)
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			b = append(b, c)
		default:
			b = append(b, '=', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}
