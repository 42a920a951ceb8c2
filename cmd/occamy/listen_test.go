package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/memory"
)

// awayOnce is a broker whose connection is away when it is first listened to.
type awayOnce struct {
	*memory.Broker
	listens atomic.Int32
}

func (b *awayOnce) Listen(ctx context.Context, topic string, take func([]byte)) error {
	if b.listens.Add(1) == 1 {
		return errors.New("the connection is away")
	}
	return b.Broker.Listen(ctx, topic, take)
}

// The page and the announcements outlive a broker that was away when they began.
func TestPage_OutlivesABrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		announces, shows := &awayOnce{Broker: b}, &awayOnce{Broker: b.Connect()}
		server, err := occamy.New(occamy.Config{ID: "one", Slots: 1, Kinds: []string{"k"}, Handler: occamy.HandlerFunc(
			func(context.Context, occamy.Request) (occamy.Task, error) {
				return nil, errors.New("there are no requests")
			})})
		if err != nil {
			t.Fatal(err)
		}
		var told atomic.Int32
		a := newAnnouncer(announces)
		a.run(server, func(error) { told.Add(1) })
		s := &site{mux: http.NewServeMux(), tell: func(string) { told.Add(1) }, endView: func() {}}
		s.show(shows)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		page := httptest.NewRecorder()
		s.mux.ServeHTTP(page, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/fleet", nil))
		if !strings.Contains(page.Body.String(), `"id":"one"`) {
			t.Errorf("the page shows %s", page.Body)
		}
		if n := told.Load(); n != 2 {
			t.Errorf("%d failures were told, want 2", n)
		}
		s.endView()
		s.viewing.Wait()
		a.close()
		for _, c := range []*memory.Broker{shows.Broker, b} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		over, end := context.WithCancel(context.Background())
		end()
		if err := server.Shutdown(over); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}
