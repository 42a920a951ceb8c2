//go:build unix && postgres

package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
	"github.com/occamy-go/occamy/checkpoint/postgres"
	"github.com/occamy-go/occamy/internal/pgcluster"
)

// address is that of the database of all tests; each has a table of its own.
var address string

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cluster, err := pgcluster.Use(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	address = cluster.URL
	code := m.Run()
	if err := cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// table gives the name of a table that is dropped in the end.
func table(t testing.TB) string {
	name := "occamy_test_" + strings.ToLower(rand.Text())
	t.Cleanup(func() { drop(t, name) })
	return name
}

func drop(t testing.TB, name string) {
	exec(t, "DROP TABLE IF EXISTS "+pgx.Identifier{name}.Sanitize())
	exec(t, "DROP SEQUENCE IF EXISTS "+pgx.Identifier{name + "_revision"}.Sanitize())
}

func exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, sql, args...); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestConformance(t *testing.T) {
	checkpointtest.Run(t, func(t *testing.T) checkpointtest.World {
		const most = 1 << 20
		name := table(t)
		return checkpointtest.World{
			Open:     func(t testing.TB) checkpoint.Store { return open(t, postgres.Options{Table: name, MaxValue: most}) },
			MaxValue: most,
			Expire: func(t testing.TB, key string) {
				exec(t, "UPDATE "+name+" SET saved = saved - interval '7 days' WHERE key = $1", key)
			},
		}
	})
}

func TestTheNameOfATableIsNoSQL(t *testing.T) {
	for _, name := range []string{`x"; DROP TABLE y; --`, `it's`, "Größe", "with space", `back\slash`, "$1", "order", "UPPER"} {
		t.Run(name, func(t *testing.T) {
			defer drop(t, name)
			s := open(t, postgres.Options{Table: name})
			rev, err := s.Save(t.Context(), "key", []byte("value"))
			if err != nil {
				t.Fatal(err)
			}
			if e, err := s.Load(t.Context(), "key"); err != nil || e.Revision != rev {
				t.Errorf("%v, %v", e, err)
			}
		})
	}
	// A database may read backslashes in texts as it did long ago.
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery += "&options=-cstandard_conforming_strings%3Doff"
	for _, name := range []string{`back\slash`, `\'||(SELECT 1/0)::text||'`} {
		defer drop(t, name)
		s, err := postgres.Open(t.Context(), u.String(), postgres.Options{Table: name})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Save(t.Context(), "key", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{".", "a.b.c", "a.", strings.Repeat("x", 51), "a\x00"} {
		if s, err := postgres.Open(t.Context(), address, postgres.Options{Table: name}); err == nil {
			s.Close()
			t.Errorf("%q is taken", name)
		}
	}
}

func TestManyOpenAtOnce(t *testing.T) {
	name := table(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), address, postgres.Options{Table: "public." + name})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func TestATableOfAnOperator(t *testing.T) {
	name := table(t)
	o := postgres.Options{Table: name, NoCreate: true}
	_, err := postgres.Open(t.Context(), address, o)
	if !errors.Is(err, postgres.ErrMissing) {
		t.Fatalf("Open: %v", err)
	}
	_, statements, ok := strings.Cut(err.Error(), "make it with: ")
	if !ok {
		t.Fatalf("%v does not say how to make it", err)
	}
	exec(t, statements)
	s := open(t, o)
	if _, err := s.Save(t.Context(), "key", nil); err != nil {
		t.Error(err)
	}
}

func TestWhatHasExpiredIsSweptByLaterSaves(t *testing.T) {
	name := table(t)
	s := open(t, postgres.Options{Table: name})
	exec(t, "INSERT INTO "+name+" SELECT 'old ' || n, '', n, now() - interval '8 days' FROM generate_series(1, 250) n")
	for n := range 3 {
		if _, err := s.Save(t.Context(), fmt.Sprint("new ", n), nil); err != nil {
			t.Fatal(err)
		}
	}
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	var left int
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM "+name).Scan(&left); err != nil || left != 3 {
		t.Errorf("%d are left, %v; want the 3 new ones", left, err)
	}
}

func TestAContextEndsAStatement(t *testing.T) {
	name := table(t)
	s := open(t, postgres.Options{Table: name})
	if _, err := s.Save(t.Context(), "key", nil); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE "+name+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Save(ctx, "key", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Save: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), "key", nil); err != nil {
		t.Errorf("Save: %v", err)
	}
}

func TestAPoolOfOnesOwn(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := postgres.New(t.Context(), pool, postgres.Options{Table: table(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := s.Save(t.Context(), "key", nil); err != nil {
		t.Error(err)
	}
}

func TestThePasswordIsReadFromAFileAndNotShown(t *testing.T) {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	u.User = url.User(u.User.Username())
	file := filepath.Join(t.TempDir(), "password")
	for _, tt := range []struct {
		password string
		ok       bool
	}{{"hunter2-wrong", password == ""}, {password, true}} {
		if err := os.WriteFile(file, []byte(tt.password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, o := range []postgres.Options{{Table: table(t), PasswordFile: file}, {Table: table(t), Password: tt.password}} {
			s, err := postgres.Open(t.Context(), u.String(), o)
			if err == nil {
				s.Close()
			}
			if (err == nil) != tt.ok || err != nil && strings.Contains(err.Error(), tt.password) {
				t.Errorf("%v", err)
			}
		}
	}
}
