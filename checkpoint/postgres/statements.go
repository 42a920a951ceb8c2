package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are those of one table.
type statements struct {
	table, sequence string // quoted

	load, save, create, update, remove, removeAt, sweep string

	make []string
}

// maxName leaves room for what is added to the name of the table.
const maxName = 50

func statementsFor(table string) (statements, error) {
	parts := strings.Split(table, ".")
	if len(parts) > 2 {
		return statements{}, badTable(table)
	}
	for _, p := range parts {
		if p == "" || len(p) > maxName || strings.ContainsRune(p, 0) {
			return statements{}, badTable(table)
		}
	}
	last := parts[len(parts)-1]
	quoted := func(name string) string {
		return append(pgx.Identifier(parts[:len(parts)-1:len(parts)-1]), name).Sanitize()
	}
	t, seq := quoted(last), quoted(last+"_revision")
	index := pgx.Identifier{last + "_saved"}.Sanitize()
	next := "nextval(" + literal(seq) + "::regclass)"
	const fresh = "saved > clock_timestamp() - make_interval(secs => $%d)"
	const old = "saved <= clock_timestamp() - make_interval(secs => $%d)"
	insert := "INSERT INTO " + t + " AS t (key, value, revision, saved) VALUES ($1, $2, " + next + ", clock_timestamp())" +
		" ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision, saved = excluded.saved"
	return statements{
		table: t, sequence: seq,
		load:   "SELECT value, revision FROM " + t + " WHERE key = $1 AND " + fmt.Sprintf(fresh, 2),
		save:   insert + " RETURNING revision",
		create: insert + " WHERE t." + fmt.Sprintf(old, 3) + " RETURNING revision",
		update: "UPDATE " + t + " SET value = $2, revision = " + next + ", saved = clock_timestamp()" +
			" WHERE key = $1 AND " + fmt.Sprintf(fresh, 3) + " AND revision = $4 RETURNING revision",
		remove:   "DELETE FROM " + t + " WHERE key = $1",
		removeAt: "DELETE FROM " + t + " WHERE key = $1 AND " + fmt.Sprintf(fresh, 2) + " AND revision = $3",
		sweep: "DELETE FROM " + t + " WHERE key IN (SELECT key FROM " + t + " WHERE " + fmt.Sprintf(old, 1) +
			fmt.Sprintf(" ORDER BY saved LIMIT %d FOR UPDATE SKIP LOCKED)", sweepRows),
		make: []string{
			"CREATE SEQUENCE IF NOT EXISTS " + seq,
			"CREATE TABLE IF NOT EXISTS " + t + ` (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL,` +
				" revision bigint NOT NULL, saved timestamptz NOT NULL)",
			"CREATE INDEX IF NOT EXISTS " + index + " ON " + t + " (saved)",
		},
	}, nil
}

func badTable(table string) error {
	return fmt.Errorf("checkpoint/postgres: table %.200q; want a name, or a schema and a name with a dot between, of up to %d bytes each", table, maxName)
}

// literal is a text as SQL has it, whatever the database takes a backslash for.
func literal(text string) string {
	return " E'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(text) + "'"
}

// ensure sees to it that the table is there.
func (s *Store) ensure(ctx context.Context) error {
	var there bool
	err := s.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL", s.sql.table, s.sql.sequence).Scan(&there)
	if err != nil || there {
		return err
	}
	if s.opts.NoCreate {
		return errors.Join(ErrMissing, errors.New("make it with: "+strings.Join(s.sql.make, "; ")))
	}
	batch := new(pgx.Batch)
	batch.Queue("SELECT pg_advisory_xact_lock($1)", s.lockOf("")) // "if not exists" is not enough for two at once
	for _, m := range s.sql.make {
		batch.Queue(m)
	}
	return s.pool.SendBatch(ctx, batch).Close()
}
