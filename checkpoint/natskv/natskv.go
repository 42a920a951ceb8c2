// Package natskv keeps checkpoints in a key-value bucket of NATS JetStream: the
// layer that is there anyway where NATS is the broker, or where the embedded one
// is. The bucket can be looked at with NATS's own tools; keys have =XX for bytes
// other than letters, digits, - and _.
//
// A revision is the sequence number of the bucket's stream, which grows with
// every write of any key, so none comes again while the bucket exists. It is
// read and compared by the leader of the stream. A replicated bucket survives
// the loss of servers; what is confirmed is on the disk as the NATS server's
// sync_interval says (the embedded server of broker/nats syncs each write).
//
// A value and its headers are one message, so it may be as large as the
// server's max_payload, 1 MB by default, less 256 bytes.
//
// An account needs to publish to
//
//	$KV.OCCAMY_CHECKPOINTS.*
//	$JS.API.STREAM.INFO.KV_OCCAMY_CHECKPOINTS, and the same with STREAM.MSG.GET and STREAM.PURGE
//	$JS.API.STREAM.CREATE.KV_OCCAMY_CHECKPOINTS, without NoCreate
//
// and to subscribe to its inboxes.
package natskv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/checkpoint"
)

// Options say which bucket, and how one is made. Zero values are useful. What
// is said here of a bucket that is there already does not change it.
type Options struct {
	// Bucket is the bucket's name: 1 to 64 of A-Z, a-z, 0-9, - and _. Empty:
	// OCCAMY_CHECKPOINTS.
	Bucket string

	// MaxAge is how long a value is kept after its last save. Zero:
	// checkpoint.DefaultMaxAge; negative: for ever.
	MaxAge time.Duration

	// Replicas is how many servers of a cluster keep each value. Zero: 1.
	Replicas int

	// NoCreate has Open leave the bucket to an operator, and return an error
	// that wraps ErrMissing when there is none.
	NoCreate bool
}

// DefaultBucket is the bucket where Options name none.
const DefaultBucket = "OCCAMY_CHECKPOINTS"

// ErrMissing says that there is no bucket, and Open is not to make one.
var ErrMissing = errors.New("checkpoint/natskv: no such bucket")

// headroom is what a message has besides its value, at most.
const headroom = 256

// callTimeout bounds a call whose context has no deadline.
const callTimeout = 10 * time.Second

// Store is a checkpoint.Store in a bucket.
type Store struct {
	nc     *natsgo.Conn
	js     jetstream.JetStream
	stream string
	prefix string // of subjects
	most   int    // bytes of a message in the bucket; 0: no limit of its own
}

var goodBucket = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Open returns the store in a bucket, which it makes where it is missing. The
// connection stays the caller's, as that of a nats.Broker by its Conn; while it
// is down, calls wait, 10 s where their context has no deadline.
func Open(ctx context.Context, nc *natsgo.Conn, o Options) (*Store, error) {
	if o.Bucket == "" {
		o.Bucket = DefaultBucket
	}
	if !goodBucket.MatchString(o.Bucket) {
		return nil, fmt.Errorf("checkpoint/natskv: bucket %q; want 1 to 64 of A-Z, a-z, 0-9, - and _", o.Bucket)
	}
	if o.MaxAge == 0 {
		o.MaxAge = checkpoint.DefaultMaxAge
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("checkpoint/natskv: %w", err)
	}
	s := &Store{nc: nc, js: js, stream: "KV_" + o.Bucket, prefix: "$KV." + o.Bucket + "."}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := s.ensure(ctx, o); err != nil {
		return nil, fmt.Errorf("checkpoint/natskv: bucket %s: %w", o.Bucket, err)
	}
	return s, nil
}

// ensure finds the stream behind the bucket, or makes it as NATS's own tools
// would, but that only its leader is asked: what a follower says may be old.
func (s *Store) ensure(ctx context.Context, o Options) error {
	stream, err := s.js.Stream(ctx, s.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if o.NoCreate {
			return fmt.Errorf("%w: make it with: nats kv add %s --history 1 --ttl %v", ErrMissing, o.Bucket, max(o.MaxAge, 0))
		}
		stream, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name:              s.stream,
			Description:       "Progress of requests, which the next attempt goes on from",
			Subjects:          []string{s.prefix + ">"},
			MaxMsgsPerSubject: 1,
			MaxAge:            max(o.MaxAge, 0),
			Duplicates:        duplicates(o.MaxAge),
			Storage:           jetstream.FileStorage,
			Replicas:          max(o.Replicas, 1),
			Discard:           jetstream.DiscardNew,
			AllowRollup:       true,
			DenyDelete:        true,
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another was faster
			stream, err = s.js.Stream(ctx, s.stream)
		}
	}
	if err != nil {
		return err
	}
	s.most = int(max(stream.CachedInfo().Config.MaxMsgSize, 0))
	return nil
}

// duplicates is the window in which NATS looks for repeated messages, which may
// not be longer than they live; there are none here.
func duplicates(age time.Duration) time.Duration {
	if age > 0 {
		return min(age, 2*time.Minute)
	}
	return 2 * time.Minute
}

// MaxValue is the largest value, in bytes, as the server says now.
func (s *Store) MaxValue() int {
	most := int(s.nc.MaxPayload())
	if s.most > 0 {
		most = min(most, s.most)
	}
	return most - headroom
}

// Load implements checkpoint.Store.
func (s *Store) Load(ctx context.Context, key string) (checkpoint.Entry, error) {
	ctx, cancel, err := s.begin(ctx, key)
	if err != nil {
		return checkpoint.Entry{}, err
	}
	defer cancel()
	is, err := s.last(ctx, key)
	if err == nil && is.removed {
		err = checkpoint.ErrNotFound
	}
	if err != nil {
		return checkpoint.Entry{}, wrap("load", key, err)
	}
	return checkpoint.Entry{Value: is.value, Revision: checkpoint.Revision(is.seq)}, nil
}

// Save implements checkpoint.Store.
func (s *Store) Save(ctx context.Context, key string, value []byte) (checkpoint.Revision, error) {
	ctx, cancel, err := s.begin(ctx, key)
	if err != nil {
		return 0, err
	}
	defer cancel()
	if err := checkpoint.CheckSize(len(value), s.MaxValue()); err != nil {
		return 0, err
	}
	rev, err := s.publish(ctx, s.message(key, value))
	return checkpoint.Revision(rev), wrap("save", key, err)
}

// CompareAndSave implements checkpoint.Store.
func (s *Store) CompareAndSave(ctx context.Context, key string, value []byte, rev checkpoint.Revision) (checkpoint.Revision, error) {
	ctx, cancel, err := s.begin(ctx, key)
	if err != nil {
		return 0, err
	}
	defer cancel()
	if err := checkpoint.CheckSize(len(value), s.MaxValue()); err != nil {
		return 0, err
	}
	at := uint64(rev)
	for {
		saved, err := s.publish(ctx, s.message(key, value), jetstream.WithExpectLastSequencePerSubject(at))
		if rev != 0 || !errors.Is(err, checkpoint.ErrConflict) {
			return checkpoint.Revision(saved), wrap("save", key, err)
		}
		// There may be no value, but the mark of a removal in its place.
		is, lookErr := s.last(ctx, key)
		switch {
		case errors.Is(lookErr, checkpoint.ErrNotFound):
			at = 0
		case lookErr != nil:
			return 0, wrap("save", key, lookErr)
		case !is.removed:
			return 0, wrap("save", key, err)
		default:
			at = is.seq
		}
	}
}

// Delete implements checkpoint.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	ctx, cancel, err := s.begin(ctx, key)
	if err != nil {
		return err
	}
	defer cancel()
	switch is, err := s.last(ctx, key); {
	case errors.Is(err, checkpoint.ErrNotFound), err == nil && is.removed:
		return nil
	case err != nil:
		return wrap("delete", key, err)
	}
	return wrap("delete", key, s.remove(ctx, key))
}

// CompareAndDelete implements checkpoint.CompareAndDeleter.
func (s *Store) CompareAndDelete(ctx context.Context, key string, rev checkpoint.Revision) error {
	ctx, cancel, err := s.begin(ctx, key)
	if err != nil {
		return err
	}
	defer cancel()
	if rev == 0 {
		return wrap("delete", key, checkpoint.ErrConflict)
	}
	return wrap("delete", key, s.remove(ctx, key, jetstream.WithExpectLastSequencePerSubject(uint64(rev))))
}

// remove marks the key as removed, as NATS's own tools do, and then takes the
// mark away, should nothing newer have replaced it. A mark that stays expires.
func (s *Store) remove(ctx context.Context, key string, opts ...jetstream.PublishOpt) error {
	m := s.message(key, nil)
	m.Header.Set(operationHeader, "DEL")
	seq, err := s.publish(ctx, m, opts...)
	if err != nil {
		return err
	}
	if query, err := json.Marshal(map[string]any{"filter": m.Subject, "seq": seq + 1}); err == nil {
		_, _ = s.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.PURGE."+s.stream, query)
	}
	return nil
}

func (s *Store) message(key string, value []byte) *natsgo.Msg {
	return &natsgo.Msg{Subject: s.prefix + nameOf(key), Header: natsgo.Header{}, Data: value}
}

// publish returns the sequence number that the message has got.
func (s *Store) publish(ctx context.Context, m *natsgo.Msg, opts ...jetstream.PublishOpt) (uint64, error) {
	ack, err := s.js.PublishMsg(ctx, m, opts...)
	if err != nil {
		return 0, asConflict(told(ctx, err))
	}
	return ack.Sequence, nil
}

// begin checks what every call checks, and bounds it.
func (s *Store) begin(ctx context.Context, key string) (context.Context, context.CancelFunc, error) {
	if err := checkpoint.CheckKey(key); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := bounded(ctx)
	ctx, end := s.whileConnected(ctx)
	return ctx, func() { end(); cancel() }, nil
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, callTimeout)
}

func wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("checkpoint/natskv: %s %q: %w", op, key, err)
}
