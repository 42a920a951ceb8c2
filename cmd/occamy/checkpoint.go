package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/dir"
	"github.com/occamy-go/occamy/checkpoint/natskv"
	"github.com/occamy-go/occamy/checkpoint/postgres"
)

// checkpointConfig says where tasks keep their progress. Each field is a flag,
// a variable in the environment and a field of the config file, but for the
// password, which has no flag, and the age, which stands in the file only.
type checkpointConfig struct {
	Checkpoint             string   `json:"checkpoint"`
	CheckpointPassword     string   `json:"checkpoint_password"`
	CheckpointPasswordFile string   `json:"checkpoint_password_file"`
	CheckpointAge          duration `json:"checkpoint_age"`
}

const (
	checkpointNATS = "nats"
	checkpointNone = "none"
	checkpointDir  = "dir:"

	leastAge = time.Minute // else progress goes while a task saves it

	checkpointHint = "nats (with a NATS broker), dir:PATH, postgres://USER@HOST/DATABASE or none"
)

// or returns c with what it leaves open taken from other. A password and the
// file that has it are one setting.
func (c checkpointConfig) or(other checkpointConfig) checkpointConfig {
	if c.CheckpointPassword != "" || c.CheckpointPasswordFile != "" {
		other.CheckpointPassword, other.CheckpointPasswordFile = "", ""
	}
	return checkpointConfig{
		Checkpoint:             cmp.Or(c.Checkpoint, other.Checkpoint),
		CheckpointPassword:     cmp.Or(c.CheckpointPassword, other.CheckpointPassword),
		CheckpointPasswordFile: cmp.Or(c.CheckpointPasswordFile, other.CheckpointPasswordFile),
		CheckpointAge:          cmp.Or(c.CheckpointAge, other.CheckpointAge),
	}
}

func (a *app) checkpointFromEnvironment() checkpointConfig {
	return checkpointConfig{
		Checkpoint:             a.getenv("OCCAMY_CHECKPOINT"),
		CheckpointPassword:     a.getenv("OCCAMY_CHECKPOINT_PASSWORD"),
		CheckpointPasswordFile: a.getenv("OCCAMY_CHECKPOINT_PASSWORD_FILE"),
	}
}

func (c checkpointConfig) isPostgres() bool {
	return strings.HasPrefix(c.Checkpoint, "postgres://") || strings.HasPrefix(c.Checkpoint, "postgresql://")
}

// check finds what is wrong before anything is opened. The place is not shown:
// it may hold a password.
func (c checkpointConfig) check(onNATS bool) error {
	switch {
	case c.CheckpointPassword != "" && c.CheckpointPasswordFile != "":
		return usage("there are a password and a password file for --checkpoint", "choose one; flags, OCCAMY_CHECKPOINT_… in the environment and the config file all count")
	case (c.CheckpointPassword != "" || c.CheckpointPasswordFile != "") && !c.isPostgres():
		return usage("there is a checkpoint password, and no database", "--checkpoint postgres://USER@HOST/DATABASE names it")
	case c.CheckpointAge != 0 && time.Duration(c.CheckpointAge) < leastAge:
		return usage("checkpoint_age is shorter than "+leastAge.String(), "for instance \"168h\"")
	case c.Checkpoint == checkpointNATS && !onNATS:
		return usage("--checkpoint nats needs a NATS broker", "dir:PATH, postgres://USER@HOST/DATABASE or none")
	case c.Checkpoint == "", c.Checkpoint == checkpointNATS, c.Checkpoint == checkpointNone, c.isPostgres():
		return nil
	case strings.HasPrefix(c.Checkpoint, checkpointDir) && len(c.Checkpoint) > len(checkpointDir):
		return nil
	}
	return usage("unknown place for --checkpoint", checkpointHint)
}

// openCheckpoint opens the store for the progress of tasks; nil where there is
// none. That of a NATS broker, when nobody asked for it, is opened by its first
// use, and memory stands in where it is refused: an account without the right to
// have one serves all the same.
func (a *app) openCheckpoint(ctx context.Context, c serveConfig, b broker.Broker) (store checkpoint.Store, hangUp func(), err error) {
	hangUp = func() {}
	nc := connOf(b)
	if err := c.checkpointConfig.check(nc != nil); err != nil {
		return nil, hangUp, err
	}
	bucket := func(ctx context.Context) (checkpoint.Store, error) {
		s, err := natskv.Open(ctx, nc, natskv.Options{
			Bucket: strings.ToUpper(cmp.Or(c.Prefix, "occamy")) + "_CHECKPOINTS", MaxAge: time.Duration(c.CheckpointAge),
			Replicas: c.Replicas, NoCreate: c.NoCreate,
		})
		if err != nil {
			return nil, err // not a nil that is none
		}
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	switch place := c.Checkpoint; {
	case place == checkpointNone:
		return nil, hangUp, nil
	case place == "" && nc == nil:
		a.note("a request that moves to another server begins anew: nothing keeps its progress",
			"--checkpoint dir:PATH (one machine) or postgres://USER@HOST/DATABASE keeps it; none says that it is meant")
		return nil, hangUp, nil
	case place == "":
		return &lazyStore{open: bucket, refused: func(err error) checkpoint.Store {
			if !isRefusal(err, nc.IsConnected()) {
				return nil
			}
			a.note("tasks keep their progress in memory, which the next attempt on another server does not have: "+err.Error(),
				"--checkpoint says where else they keep it, or none")
			return checkpoint.NewMemory(checkpoint.Options{MaxAge: time.Duration(c.CheckpointAge)})
		}}, hangUp, nil
	case place == checkpointNATS:
		store, err = bucket(ctx)
	case c.isPostgres():
		var s *postgres.Store
		if c.CheckpointPasswordFile != "" {
			a.warnIfOpen(c.CheckpointPasswordFile)
		}
		s, err = postgres.Open(ctx, place, postgres.Options{
			MaxAge: time.Duration(c.CheckpointAge), NoCreate: c.NoCreate,
			Password: c.CheckpointPassword, PasswordFile: c.CheckpointPasswordFile,
		})
		if err == nil {
			store, hangUp = s, s.Close
		}
	default:
		var s *dir.Store
		if s, err = dir.Open(strings.TrimPrefix(place, checkpointDir), dir.Options{MaxAge: time.Duration(c.CheckpointAge)}); err == nil {
			store = s
		}
	}
	switch {
	case err == nil:
		return store, hangUp, nil
	case errors.Is(context.Cause(ctx), errInterrupted):
		return nil, hangUp, errInterrupted
	}
	return nil, hangUp, hinted(err, "--checkpoint says where tasks keep their progress: "+checkpointHint)
}

// connOf is the connection of a NATS broker; nil for another.
func connOf(b broker.Broker) *natsgo.Conn {
	if n, ok := b.(interface{ Conn() *natsgo.Conn }); ok {
		return n.Conn()
	}
	return nil
}

// isRefusal tells whether NATS will not have a bucket, rather than not yet. It
// does not answer who has no right to ask.
func isRefusal(err error, connected bool) bool {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		return api.Code != http.StatusServiceUnavailable
	case errors.Is(err, natskv.ErrMissing):
		return true
	}
	return connected && errors.Is(err, context.DeadlineExceeded)
}

// lazyStore is a store that is opened by its first use, and by the next one
// when that has failed.
type lazyStore struct {
	open    func(ctx context.Context) (checkpoint.Store, error)
	refused func(error) checkpoint.Store // what stands in for it from then on; nil: nothing yet. Called under mu

	mu    sync.Mutex
	store checkpoint.Store // nil: not open; guarded by mu
}

// get opens the store without the lock; of two that do so at once one counts.
func (l *lazyStore) get(ctx context.Context) (checkpoint.Store, error) {
	l.mu.Lock()
	store := l.store
	l.mu.Unlock()
	if store != nil {
		return store, nil
	}
	store, err := l.open(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, err // which says nothing of the store
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil && err != nil {
		store = l.refused(err)
	}
	if l.store == nil {
		l.store = store
	}
	if l.store == nil {
		return nil, err
	}
	return l.store, nil
}

// Load implements checkpoint.Store.
func (l *lazyStore) Load(ctx context.Context, key string) (checkpoint.Entry, error) {
	s, err := l.get(ctx)
	if err != nil {
		return checkpoint.Entry{}, err
	}
	return s.Load(ctx, key)
}

// Save implements checkpoint.Store.
func (l *lazyStore) Save(ctx context.Context, key string, value []byte) (checkpoint.Revision, error) {
	s, err := l.get(ctx)
	if err != nil {
		return 0, err
	}
	return s.Save(ctx, key, value)
}

// CompareAndSave implements checkpoint.Store.
func (l *lazyStore) CompareAndSave(ctx context.Context, key string, value []byte, rev checkpoint.Revision) (checkpoint.Revision, error) {
	s, err := l.get(ctx)
	if err != nil {
		return 0, err
	}
	return s.CompareAndSave(ctx, key, value, rev)
}

// Delete implements checkpoint.Store.
func (l *lazyStore) Delete(ctx context.Context, key string) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	return s.Delete(ctx, key)
}

// CompareAndDelete implements checkpoint.CompareAndDeleter, as far as the store
// does.
func (l *lazyStore) CompareAndDelete(ctx context.Context, key string, rev checkpoint.Revision) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	if d, ok := s.(checkpoint.CompareAndDeleter); ok {
		return d.CompareAndDelete(ctx, key, rev)
	}
	return errors.ErrUnsupported
}
