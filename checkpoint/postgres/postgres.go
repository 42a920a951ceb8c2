package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/occamy-go/occamy/checkpoint"
)

// Options say how a Store is to work; the zero value is useful. The stores of a
// table use the same.
type Options struct {
	// Table is the table, with its schema before a dot or without: up to 50
	// bytes each, in any case. Its sequence is named like it, with _revision,
	// and its index, with _saved. Empty: occamy_checkpoints.
	Table string

	// MaxAge is how long a value is kept after its last save, by the clock of
	// the database. Zero: checkpoint.DefaultMaxAge; negative: for ever.
	MaxAge time.Duration

	// MaxValue is the largest value, in bytes, up to 512 MiB. Zero:
	// checkpoint.DefaultMaxValue.
	MaxValue int

	// NoCreate leaves the table to an operator. Where it is missing, Open
	// returns an error that wraps ErrMissing, with the statements that make it.
	NoCreate bool

	// Password, or PasswordFile, which is read anew for each connection, is the
	// user's. Empty: as the address, PGPASSWORD or PGPASSFILE have it.
	Password, PasswordFile string
}

// ErrMissing says that there is no table, and Open is not to make one.
var ErrMissing = errors.New("checkpoint/postgres: no such table")

const (
	defaultTable = "occamy_checkpoints"
	maxValue     = 512 << 20
	forever      = 100 * 365 * 24 * time.Hour

	sweepRows  = 100
	sweepPause = time.Minute // between two sweeps that found less than that
)

// Store is a checkpoint.Store in a table.
type Store struct {
	pool  *pgxpool.Pool
	own   bool // the pool is ours to close
	opts  Options
	sql   statements
	swept atomic.Int64 // when the next sweep is due, in Unix nanoseconds
	hide  string       // the password of the address
}

// Open connects to a database, as postgres://USER@HOST:PORT/DATABASE or in any
// other form that libpq takes says, and makes the table where it is missing. No
// error shows a password. Whoever opens closes.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	cfg, hide, err := configure(address, o)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("checkpoint/postgres: %w", scrub(err, hide))
	}
	s, err := open(ctx, pool, o, hide)
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.own = true
	return s, nil
}

// New is Open on a pool that stays the caller's. The end of a context closes the
// connection that it concerns, unless the pool is configured to do otherwise.
func New(ctx context.Context, pool *pgxpool.Pool, o Options) (*Store, error) {
	return open(ctx, pool, o, pool.Config().ConnConfig.Password)
}

func open(ctx context.Context, pool *pgxpool.Pool, o Options, hide string) (*Store, error) {
	if o.Table == "" {
		o.Table = defaultTable
	}
	switch {
	case o.MaxAge == 0:
		o.MaxAge = checkpoint.DefaultMaxAge
	case o.MaxAge < 0:
		o.MaxAge = forever
	}
	if o.MaxValue == 0 {
		o.MaxValue = checkpoint.DefaultMaxValue
	}
	if o.MaxValue < 0 || o.MaxValue > maxValue {
		return nil, fmt.Errorf("checkpoint/postgres: MaxValue is %d; want 0 (%d) to %d", o.MaxValue, checkpoint.DefaultMaxValue, maxValue)
	}
	sql, err := statementsFor(o.Table)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, opts: o, sql: sql, hide: hide}
	if err := s.ensure(ctx); err != nil {
		return nil, s.wrap(ctx, "open", o.Table, err)
	}
	return s, nil
}

// Close ends the connections, after the calls that are under way. A Store of New
// leaves them to their owner.
func (s *Store) Close() {
	if s.own {
		s.pool.Close()
	}
}

// Load implements checkpoint.Store.
func (s *Store) Load(ctx context.Context, key string) (checkpoint.Entry, error) {
	if err := begin(ctx, key); err != nil {
		return checkpoint.Entry{}, err
	}
	var value []byte
	var rev int64
	err := s.pool.QueryRow(ctx, s.sql.load, key, s.age()).Scan(&value, &rev)
	if errors.Is(err, pgx.ErrNoRows) {
		err = checkpoint.ErrNotFound
	}
	if err != nil {
		return checkpoint.Entry{}, s.wrap(ctx, "load", key, err)
	}
	return checkpoint.Entry{Value: value, Revision: checkpoint.Revision(rev)}, nil
}

// Save implements checkpoint.Store.
func (s *Store) Save(ctx context.Context, key string, value []byte) (checkpoint.Revision, error) {
	return s.write(ctx, key, value, s.sql.save)
}

// CompareAndSave implements checkpoint.Store.
func (s *Store) CompareAndSave(ctx context.Context, key string, value []byte, rev checkpoint.Revision) (checkpoint.Revision, error) {
	switch {
	case rev == 0:
		return s.write(ctx, key, value, s.sql.create, s.age())
	case rev > math.MaxInt64: // the sequence has not got there
		rev = math.MaxInt64
	}
	return s.write(ctx, key, value, s.sql.update, s.age(), int64(rev))
}

// write has one statement save a value, while the key is locked.
func (s *Store) write(ctx context.Context, key string, value []byte, statement string, args ...any) (checkpoint.Revision, error) {
	if err := begin(ctx, key); err != nil {
		return 0, err
	}
	if err := checkpoint.CheckSize(len(value), s.opts.MaxValue); err != nil {
		return 0, err
	}
	if value == nil {
		value = []byte{} // nil is NULL
	}
	var rev int64
	batch := new(pgx.Batch) // one transaction, and one round trip
	batch.Queue("SELECT pg_advisory_xact_lock($1)", s.lockOf(key))
	batch.Queue(statement, append([]any{key, value}, args...)...).QueryRow(func(row pgx.Row) error { return row.Scan(&rev) })
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return 0, s.wrap(ctx, "save", key, asConflict(err))
	}
	s.sweep(ctx)
	return checkpoint.Revision(rev), nil
}

// Delete implements checkpoint.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, s.sql.remove, key)
	return s.wrap(ctx, "delete", key, err)
}

// CompareAndDelete implements checkpoint.CompareAndDeleter.
func (s *Store) CompareAndDelete(ctx context.Context, key string, rev checkpoint.Revision) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	done, err := s.pool.Exec(ctx, s.sql.removeAt, key, s.age(), int64(min(rev, math.MaxInt64)))
	if err == nil && done.RowsAffected() == 0 {
		err = checkpoint.ErrConflict
	}
	return s.wrap(ctx, "delete", key, err)
}

// sweep removes some of what has expired, when it is time to. What fails is left
// to the next one.
func (s *Store) sweep(ctx context.Context) {
	now, due := time.Now().UnixNano(), s.swept.Load()
	if now < due || !s.swept.CompareAndSwap(due, now+int64(sweepPause)) {
		return
	}
	done, err := s.pool.Exec(ctx, s.sql.sweep, s.age())
	if err == nil && done.RowsAffected() == sweepRows {
		s.swept.Store(now) // there may be more
	}
}

// age is MaxAge in seconds.
func (s *Store) age() float64 { return s.opts.MaxAge.Seconds() }

// lockOf is the number under which a key is locked. Keys that share one wait
// for each other, and nothing worse.
func (s *Store) lockOf(key string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.opts.Table + "\x00" + key))
	return int64(h.Sum64())
}

func begin(ctx context.Context, key string) error {
	if err := checkpoint.CheckKey(key); err != nil {
		return err
	}
	return ctx.Err()
}

// asConflict: nothing was written since the revision was another one, or, in a
// stricter isolation, since somebody else was about to write.
func asConflict(err error) error {
	var pg *pgconn.PgError
	if errors.Is(err, pgx.ErrNoRows) {
		return checkpoint.ErrConflict
	}
	if errors.As(err, &pg) && pg.Code == "40001" {
		return fmt.Errorf("%w: %w", checkpoint.ErrConflict, err)
	}
	return err
}

func (s *Store) wrap(ctx context.Context, op, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return fmt.Errorf("checkpoint/postgres: %s %q: %w", op, what, scrub(err, s.hide))
}

// scrub returns the error without the password, should it be in there. It still
// answers errors.Is: a password may be a word that any error has.
func scrub(err error, password string) error {
	if password == "" || !strings.Contains(err.Error(), password) {
		return err
	}
	return &scrubbed{err, strings.ReplaceAll(err.Error(), password, "[password]")}
}

// scrubbed has no Unwrap, which would show the password.
type scrubbed struct {
	err  error
	text string
}

func (e *scrubbed) Error() string        { return e.text }
func (e *scrubbed) Is(target error) bool { return errors.Is(e.err, target) }
