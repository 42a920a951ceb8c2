package slog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	occamyslog "github.com/occamy-go/occamy/monitor/slog"
	"github.com/occamy-go/occamy/occamytest"
)

// logged returns what a server logs at a level that runs a request which ends so.
func logged(t *testing.T, level slog.Level, end func() error) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		l := occamyslog.New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime})))
		s, err := occamy.New(occamy.Config{
			ID: "s", Slots: 1, Kinds: []string{"k"}, Monitors: l.Monitors(),
			Handler: occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) { return task(end), nil }),
		})
		if err != nil {
			t.Fatal(err)
		}
		d := occamytest.NewDelivery(occamytest.RequestHeaders("k", "r\n\x1b[31m"), []byte("secret body"))
		s.HandleRequest(d)
		<-d.Settled()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
	return out.String()
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

type task func() error

func (task) Details() occamy.Details    { return occamy.Details{} }
func (t task) Do(context.Context) error { return t() }

func TestLogger_OneLineForARequest(t *testing.T) {
	got := logged(t, slog.LevelInfo, func() error { return nil })
	want := `level=INFO msg="request settled" id="r\n\x1b[31m" kind=k outcome=acked cause=completed attempt=1 settled_in=0s` + "\n"
	if got != want {
		t.Errorf("logged\n%swant\n%s", got, want)
	}
}

func TestLogger_LevelsTellWhatIsAmiss(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func() error
		want []string
	}{
		"a failure": {func() error { return errors.New("no route") }, []string{"level=WARN msg=error", "no route", `level=WARN msg="request settled"`, "outcome=rejected cause=failure"}},
		"a panic":   {func() error { panic("boom") }, []string{"level=ERROR msg=error", "name=panic", "boom"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := logged(t, slog.LevelInfo, tt.end)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if strings.Contains(got, "secret body") {
				t.Errorf("a body was logged:\n%s", got)
			}
		})
	}
}

func TestLogger_DebugTellsOfSlots(t *testing.T) {
	got := logged(t, slog.LevelDebug, func() error { return nil })
	for _, want := range []string{"slot changed", "from=empty to=protected phase=running", "stage=run", "stage=handle"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// A flood of errors does not flood the log, and one kind of error hides no other.
func TestLogger_AFloodOfErrorsIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := occamyslog.New(slog.New(slog.NewTextHandler(&out, nil)))
		for i := range 10_000 {
			l.RecordError(fmt.Errorf("%w: %d", occamy.ErrUnknownKind, i))
		}
		l.RecordError(occamy.ErrStuck)
		l.RecordError(occamy.ErrControlDropped) // ordinary
		if n := strings.Count(out.String(), "\n"); n != 11 {
			t.Errorf("%d lines", n)
		}
		if !strings.Contains(out.String(), "level=ERROR") {
			t.Error("the stuck task is hidden")
		}
		<-time.After(time.Second)
		l.RecordError(occamy.ErrUnknownKind)
		if !strings.Contains(out.String(), "left_out=9990") {
			t.Errorf("what was left out is not told: %s", out.String()[out.Len()-200:])
		}
	})
}

func ExampleNew() {
	l := occamyslog.New(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	server, err := occamy.New(occamy.Config{
		Kinds: []string{"greet"}, Monitors: l.Monitors(),
		Handler: occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) {
			return task(func() error { return nil }), nil
		}),
	})
	if err != nil {
		panic(err)
	}
	d := occamytest.NewDelivery(occamytest.RequestHeaders("unheard", "r1"), nil)
	server.HandleRequest(d)
	<-d.Settled()
	_ = server.Shutdown(context.Background())
}
