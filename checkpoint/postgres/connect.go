package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrAddress says that the address is not one of a database. It is not shown,
// since it may hold a password.
var ErrAddress = errors.New("checkpoint/postgres: invalid address; want postgres://USER@HOST:PORT/DATABASE")

// cancelGrace is how long a statement may take to end when its context has, and
// the server was told; then the connection is closed.
const cancelGrace = time.Second

// configure returns how to connect, and the password that no error may show.
func configure(address string, o Options) (*pgxpool.Config, string, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, "", ErrAddress
	}
	if o.Password != "" {
		cfg.ConnConfig.Password = o.Password
	}
	if o.PasswordFile != "" {
		cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			b, err := os.ReadFile(o.PasswordFile)
			if err != nil {
				return fmt.Errorf("read the password: %w", err)
			}
			c.Password = strings.TrimSpace(string(b))
			return nil
		}
	}
	cfg.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelGrace}
	}
	return cfg, cfg.ConnConfig.Password, nil
}
