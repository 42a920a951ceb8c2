package occamytest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// refuse is a handler that knows no work.
func refuse(context.Context, occamy.Request) (occamy.Task, error) {
	return nil, errors.New("nothing to do")
}

// A test of what a server does with a message, and of what it records.
func ExampleDelivery() {
	var monitor occamytest.Monitor
	server, err := occamy.New(occamy.Config{
		Handler: occamy.HandlerFunc(refuse), Kinds: []string{"route"}, Slots: 1, Monitors: monitor.Monitors(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := server.Shutdown(context.Background()); err != nil {
			log.Fatal(err)
		}
	}()

	m := occamytest.NewDelivery(occamytest.RequestHeaders("route", "r1"), []byte("body"))
	server.HandleRequest(m)
	<-m.Settled()
	fmt.Println(m.Settlement().Fate, "-", m.Settlement().Reason)

	m = occamytest.NewDelivery(occamytest.RequestHeaders("pack", "r2"), nil)
	server.HandleRequest(m)
	fmt.Println(monitor.WaitError(context.Background(), occamy.ErrUnknownKind))
	// Output:
	// rejected - nothing to do
	// task "r2" of kind "pack": occamy: unknown kind: "pack"
}

// A message with fewer abilities than a Delivery has.
func ExampleDelivery_fewerAbilities() {
	d := occamytest.NewDelivery(occamytest.RequestHeaders("route", "r1"), nil)
	var m occamy.Message = struct {
		occamy.Message
		occamy.Leased
	}{d, d}
	_, leased := m.(occamy.Leased)
	_, delayed := m.(occamy.DelayedRequeuer)
	fmt.Println(leased, delayed)
	// Output: true false
}
