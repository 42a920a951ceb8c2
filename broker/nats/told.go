package nats

import (
	"encoding/binary"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// A told message has its headers before its body, as NATS takes longer for its
// own kind of headers than for all else. Its reply subject says so; nobody
// listens there.

// packTold returns headers, with the task's ID, and body as they travel.
func packTold(key, id string, headers occamy.Headers, body []byte) ([]byte, error) {
	block := appendText(appendText(make([]byte, 0, 128), key), id)
	for k, value := range headers {
		if k == key {
			continue
		}
		text, err := broker.HeaderText(value)
		if err != nil {
			return nil, err
		}
		block = appendText(appendText(block, k), text)
	}
	b := make([]byte, 0, binary.MaxVarintLen64+len(block)+len(body))
	b = append(binary.AppendUvarint(b, uint64(len(block))), block...)
	return append(b, body...), nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errTold = errors.New("nats: a told message has unreadable headers: it was not sent by this version")

// A toldReader reads told messages. It keeps the headers of the last one, as the
// next mostly bears the same; nobody changes the headers of a message.
type toldReader struct {
	block   string
	headers occamy.Headers
}

// mostKept is how many bytes of headers it keeps.
const mostKept = 4 << 10

// read is the inverse of packTold. It trusts nothing.
func (r *toldReader) read(b []byte) (headers occamy.Headers, body []byte, err error) {
	block, body, ok := cutText(b)
	switch {
	case !ok:
		return nil, nil, errTold
	case r.headers != nil && string(block) == r.block:
		return r.headers, body, nil
	}
	headers = make(occamy.Headers, 4)
	for rest := block; len(rest) > 0; {
		var key, value []byte
		if key, rest, ok = cutText(rest); !ok {
			return nil, nil, errTold
		}
		if value, rest, ok = cutText(rest); !ok {
			return nil, nil, errTold
		}
		headers[string(key)] = string(value)
	}
	if len(block) <= mostKept {
		r.block, r.headers = string(block), headers
	}
	return headers, body, nil
}

// cutText cuts one text off.
func cutText(b []byte) (text, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	end := k + int(n)
	return b[k:end], b[end:], true
}

// controlMessageOf returns the control message that m brings. Only the read
// goroutine calls it.
func (d *desk) controlMessageOf(m *natsgo.Msg) (*controlMessage, error) {
	if m.Reply == d.b.names.told {
		headers, body, err := d.told.read(m.Data)
		if err != nil {
			return nil, fmt.Errorf("%w (on %s)", err, m.Subject)
		}
		return &controlMessage{headers: headers, body: body}, nil
	}
	headers, _ := decodeHeaders(m.Header)
	return &controlMessage{headers: headers, body: m.Data}, nil
}
