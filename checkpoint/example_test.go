package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/occamytest"
)

// sum adds the numbers from 1 to 10 and keeps how far it is. Each attempt adds
// no more than 6, as if its server died then.
type sum struct {
	*checkpoint.Progress
}

func (sum) Details() occamy.Details { return occamy.Details{} }

func (s sum) Do(ctx context.Context) error {
	saved, err := s.Claim(ctx)
	if err != nil {
		return occamy.Requeue(err, 0)
	}
	n, total := 0, 0
	if saved != nil {
		if _, err := fmt.Sscan(string(saved), &n, &total); err != nil {
			return err
		}
		fmt.Println("going on after", n)
	}
	for range 6 {
		if n == 10 {
			return occamy.SetResult(ctx, []byte(strconv.Itoa(total)))
		}
		n++
		total += n
		if err := s.Save(ctx, fmt.Append(nil, n, " ", total)); errors.Is(err, checkpoint.ErrSuperseded) {
			return err // another attempt has the request
		} // after any other error, go on: it is saved the next time
	}
	return occamy.Requeue(errors.New("the server has died"), 0)
}

// A request goes on where its last attempt stopped, and its progress is removed
// when it is acked.
func Example() {
	store := &checkpoint.Memory{}
	var mux occamy.Mux
	mux.AddFunc("sum", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return sum{checkpoint.New(store, r.ID)}, nil
	})
	server, err := occamy.New(occamy.Config{Handler: &mux})
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		m := occamytest.NewDelivery(occamytest.RequestHeaders("sum", "r"), nil)
		server.HandleRequest(m)
		<-m.Settled()
		fmt.Println(m.Settlement().Fate)
		if m.Settlement().Fate != occamytest.Requeued {
			fmt.Printf("result %s\n", m.Outcomes()[0].Result)
			break
		}
	}
	_ = server.Shutdown(context.Background()) // which waits for Settled
	fmt.Println(store.Len(), "values are left")
	// Output:
	// requeued
	// going on after 6
	// acked
	// result 55
	// 0 values are left
}

func ExampleProgress() {
	ctx, store := context.Background(), &checkpoint.Memory{}
	zombie := checkpoint.New(store, "request")
	_, _ = zombie.Claim(ctx)
	_ = zombie.Save(ctx, []byte("half"))

	heir := checkpoint.New(store, "request")
	saved, _ := heir.Claim(ctx)
	fmt.Printf("found %q\n", saved)
	fmt.Println("a larger token:", heir.Revision() > zombie.Revision())
	fmt.Println(zombie.Save(ctx, []byte("stale")))
	// Output:
	// found "half"
	// a larger token: true
	// save progress of "request": checkpoint: superseded by another attempt
}
