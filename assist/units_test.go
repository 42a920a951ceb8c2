package assist_test

import (
	"sync/atomic"
	"testing"

	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/client"
)

func TestAJobSpreadsOverAllSlotsOfAllServers(t *testing.T) {
	f := newFleet(t)
	var computed atomic.Int64
	cfg := assist.Config{Broker: f.broker, OnError: func(err error) { t.Log(err) }}
	f.serve(2, assist.Units(counted(&computed), cfg))
	f.serve(3, assist.Units(counted(&computed), cfg))

	o, err := f.client.SubmitAndWait(t.Context(), client.Request{Kind: "squares", ID: "job", Body: []byte(`{"n":100,"each":20000000}`)}, func(p []byte) { t.Logf("%s", p) })
	if err != nil || string(o.Result) != sumOfSquares(100) {
		t.Errorf("got %s, %v, want %s", o.Result, err, sumOfSquares(100))
	}
}
