package dashboard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy/dashboard"
)

// reader is an answer whose time is told as it is written.
type reader struct {
	*httptest.ResponseRecorder
	start time.Time
	parts []string
	times []time.Duration
}

func (r *reader) Write(b []byte) (int, error) {
	r.parts = append(r.parts, string(b))
	r.times = append(r.times, time.Since(r.start))
	return len(b), nil
}

func read(h http.Handler) (*reader, context.CancelFunc, chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &reader{ResponseRecorder: httptest.NewRecorder(), start: time.Now()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/fleet", nil))
	}()
	return w, cancel, done
}

func TestAStreamBeginsWithEverythingAndGoesOnWithWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.note = "two\nlines </script>"
		w, cancel, done := read(dashboard.New(dashboard.Config{Fleet: f}))
		time.Sleep(time.Second)
		f.change()
		time.Sleep(time.Second)
		cancel()
		<-done
		want := []string{
			"event: fleet\ndata: {\"full\":true,\"note\":\"two\\nlines \\u003c/script\\u003e\",\"v\":1}\n\n",
			"event: fleet\ndata: {\"full\":false,\"note\":\"two\\nlines \\u003c/script\\u003e\",\"v\":2}\n\n",
		}
		if got := strings.Join(w.parts, ""); got != strings.Join(want, "") {
			t.Errorf("sent %q, want %q", got, want)
		}
		if w.times[1] != time.Second {
			t.Errorf("the change was sent after %v, want at once, after 1s", w.times[1])
		}
		if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
			t.Errorf("it is a %s", kind)
		}
	})
}

func TestAStreamHasAtMostTenUpdatesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		w, cancel, done := read(dashboard.New(dashboard.Config{Fleet: f}))
		for range 1000 {
			time.Sleep(time.Millisecond)
			f.change()
		}
		synctest.Wait()
		cancel()
		<-done
		if n := len(w.parts); n < 10 || n > 11 {
			t.Errorf("%d updates in a second", n)
		}
	})
}

func TestAnIdleStreamShowsThatItIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		w, cancel, done := read(dashboard.New(dashboard.Config{Fleet: f}))
		time.Sleep(35 * time.Second)
		cancel()
		<-done
		if len(w.parts) != 4 || w.parts[1] != ": alive\n\n" {
			t.Errorf("sent %q, want an update and three comments", w.parts)
		}
		if len(f.asked) != 1 {
			t.Errorf("asked for changes %d times while there were none", len(f.asked))
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := dashboard.New(dashboard.Config{Fleet: newFleet(), MaxStreams: 2})
		_, end1, done1 := read(h)
		_, end2, done2 := read(h)
		synctest.Wait()
		w := call(h, "GET", "/api/fleet")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("the third is answered %d", w.Code)
		}
		problem(t, w)
		end1()
		<-done1
		again, end3, done3 := read(h)
		synctest.Wait()
		if len(again.parts) != 1 {
			t.Errorf("one that comes after one has gone is sent %q", again.parts)
		}
		end2()
		end3()
		<-done2
		<-done3
	})
}

func TestDoneEndsAllStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		h := dashboard.New(dashboard.Config{Fleet: newFleet(), Done: end})
		_, cancel1, done1 := read(h)
		_, cancel2, done2 := read(h)
		defer cancel1()
		defer cancel2()
		synctest.Wait()
		close(end)
		<-done1
		<-done2
	})
}

// stuck is a reader that takes something only when it is let.
type stuck struct {
	*reader
	take chan struct{}
}

func (s stuck) Write(b []byte) (int, error) {
	<-s.take
	return s.reader.Write(b)
}

func TestASlowReaderGetsTheDifferenceAndNoBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		h := dashboard.New(dashboard.Config{Fleet: f})
		ctx, cancel := context.WithCancel(context.Background())
		w := stuck{&reader{ResponseRecorder: httptest.NewRecorder(), start: time.Now()}, make(chan struct{})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/fleet", nil))
		}()
		for range 10_000 {
			time.Sleep(time.Millisecond)
			f.change()
		}
		close(w.take)
		time.Sleep(time.Second)
		cancel()
		<-done
		if len(w.parts) != 2 || !slices.Equal(f.asked, []uint64{0, 1}) {
			t.Errorf("sent %q, asked for changes since %d; want what was there first and one difference", w.parts, f.asked)
		}
	})
}
