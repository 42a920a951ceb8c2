package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/checkpoint"
)

func TestServeRefusesAPlaceForCheckpointsThatItCannotUse(t *testing.T) {
	const secret = "hunter2"
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(`{"checkpoint": "nats", "checkpoint_password": "`+secret+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte(`{"checkpoint_age": "1ns"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		env  map[string]string
		args []string
		code int
	}{
		{"unknown", nil, []string{"--checkpoint", "redis://" + secret + "@x"}, exitUsage},
		{"an age too short to save again", nil, []string{"--config", short}, exitUsage},
		{"no directory", nil, []string{"--checkpoint", "dir:"}, exitUsage},
		{"unknown, in the environment", map[string]string{"OCCAMY_CHECKPOINT": "s3:" + secret}, nil, exitUsage},
		{"a password without a database", nil, []string{"--config", file}, exitUsage},
		{"two passwords", map[string]string{"OCCAMY_CHECKPOINT_PASSWORD": secret, "OCCAMY_CHECKPOINT_PASSWORD_FILE": file},
			[]string{"--checkpoint", "postgres://me@127.0.0.1:1/db"}, exitUsage},
		{"a directory below a file", nil, []string{"--checkpoint", "dir:" + filepath.Join(file, "below")}, exitFailed},
		{"no database", nil, []string{"--checkpoint", "postgres://me:" + secret + "@127.0.0.1:1/db?connect_timeout=1"}, exitFailed},
		{"no database, the password elsewhere", map[string]string{"OCCAMY_CHECKPOINT_PASSWORD": secret},
			[]string{"--checkpoint", "postgres://me@127.0.0.1:1/db?connect_timeout=1"}, exitFailed},
		{"no address of a database", nil, []string{"--checkpoint", "postgres://me:" + secret + "@host:port/db"}, exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"serve", "--listen", "127.0.0.1:0", "--sync=false", "--data-dir", t.TempDir()}, tc.args...)
			code, stdout, stderr := run{env: tc.env}.do(t, args...)
			if code != tc.code || stdout != "" {
				t.Errorf("exit status %d, want %d; printed %q", code, tc.code, stdout)
			}
			if err := oneLineWithHint(stderr); err != nil {
				t.Errorf("the error message: %v", err)
			}
			if strings.Contains(stderr, secret) {
				t.Errorf("it shows a secret: %s", stderr)
			}
		})
	}
}

func TestServeMakesTheDirectoryForCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	s := serveEmbedded(t, t.TempDir(), "--checkpoint", "dir:"+path)
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	s.works(t)
}

func hasBucket(t *testing.T, url, name string) bool {
	t.Helper()
	nc, err := natsgo.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.KeyValue(t.Context(), name)
	if err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestCheckpointsStandInTheBucketOfTheBroker(t *testing.T) {
	const bucket = "WORLD_CHECKPOINTS"
	asked := serveEmbedded(t, t.TempDir(), "--prefix", "world", "--checkpoint", "nats")
	if !hasBucket(t, asked.Broker, bucket) {
		t.Error("there is no bucket")
	}
	s := serveEmbedded(t, t.TempDir(), "--prefix", "world")
	if hasBucket(t, s.Broker, bucket) {
		t.Error("there is a bucket that nobody has asked for")
	}
	b, err := nats.Open(t.Context(), nats.Config{URL: s.Broker, Prefix: "world"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	store, hangUp, err := new(app).openCheckpoint(t.Context(), serveConfig{settings: settings{Prefix: "world"}}, &hosted{Broker: b})
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp()
	p := checkpoint.New(store, "r")
	if _, err := p.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !hasBucket(t, s.Broker, bucket) {
		t.Error("there is no bucket when it is needed")
	}
	if err := p.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWithoutNATSThereAreNoCheckpointsUnlessAskedFor(t *testing.T) {
	var told strings.Builder
	a, ctx := &app{stderr: &told}, t.Context()
	for place, want := range map[string]bool{"": false, checkpointNone: false, "dir:" + t.TempDir(): true} {
		told.Reset()
		store, hangUp, err := a.openCheckpoint(ctx, serveConfig{checkpointConfig: checkpointConfig{Checkpoint: place}}, &fakeBroker{})
		if err != nil || (store != nil) != want {
			t.Errorf("%q: %v, %v", place, store, err)
		}
		hangUp()
		if warned := strings.Contains(told.String(), "begins anew"); warned != (place == "") {
			t.Errorf("%q: it says %q", place, told.String())
		}
	}
	_, _, err := a.openCheckpoint(ctx, serveConfig{checkpointConfig: checkpointConfig{Checkpoint: checkpointNATS}}, &fakeBroker{})
	var f *failure
	if !errors.As(err, &f) || f.code != exitUsage {
		t.Errorf("nats without NATS: %v", err)
	}
}

// Nobody has asked for checkpoints, so a NATS that will not keep them is served
// all the same.
func TestMemoryStandsInForABucketThatIsRefused(t *testing.T) {
	s := serveEmbedded(t, t.TempDir())
	b, err := nats.Open(t.Context(), nats.Config{URL: s.Broker})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for name, c := range map[string]serveConfig{
		"an operator has made none": {settings: settings{Prefix: "other", NoCreate: true}},
		"there are too few servers": {settings: settings{Prefix: "other", Replicas: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			var told strings.Builder
			store, hangUp, err := (&app{stderr: &told}).openCheckpoint(t.Context(), c, b)
			if err != nil {
				t.Fatal(err)
			}
			defer hangUp()
			for range 2 {
				if _, err := store.Save(t.Context(), "key", nil); err != nil {
					t.Error(err)
				}
			}
			if err := oneLineWithHint(told.String()); err != nil || !strings.Contains(told.String(), "in memory") {
				t.Errorf("told %q: %v", told.String(), err)
			}
		})
	}
}

func TestAStoreIsOpenedByItsFirstUseThatSucceeds(t *testing.T) {
	opened, broken := 0, errors.New("not yet")
	l := &lazyStore{open: func(context.Context) (checkpoint.Store, error) {
		if opened++; opened == 1 {
			return nil, broken
		}
		return &checkpoint.Memory{}, nil
	}, refused: func(error) checkpoint.Store { return nil }}
	if _, err := l.Save(t.Context(), "key", nil); !errors.Is(err, broken) {
		t.Errorf("Save: %v", err)
	}
	rev, err := l.Save(t.Context(), "key", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CompareAndDelete(t.Context(), "key", rev); err != nil || opened != 2 {
		t.Errorf("%v, opened %d times", err, opened)
	}
}
