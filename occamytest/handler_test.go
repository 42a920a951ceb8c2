package occamytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// order is the body of the good requests.
type order struct {
	Name  string
	Parts []string
}

func good() occamy.Request {
	return occamy.Request{
		Kind: "orders", ID: "order 7", Attempt: 1,
		Headers: occamy.Headers{"colour": "red", "count": "3"},
		Body:    []byte(`{"Name":"cart","Parts":["wheel","wheel","box"]}`),
	}
}

// careful reads a request as a good handler does.
func careful(_ context.Context, r occamy.Request) (occamy.Task, error) {
	s, _ := r.Headers["count"].(string)
	if _, err := strconv.Atoi(s); err != nil {
		return nil, fmt.Errorf("%w: count: %w", occamy.ErrInvalidHeader, err)
	}
	var o order
	if err := json.Unmarshal(r.Body, &o); err != nil {
		return nil, err
	}
	id := r.ID
	return &citizen{details: func() occamy.Details { return occamy.Details{ID: id} }}, nil
}

func TestAGoodHandlerPasses(t *testing.T) {
	other := good()
	other.Headers, other.Body = occamy.Headers{"count": "0"}, []byte("{}")
	occamytest.Handler(t, occamy.HandlerFunc(careful), good(), other)

	var mux occamy.Mux
	mux.AddFunc("orders", careful)
	occamytest.Handler(t, &mux, good())
}

// nowhere is an error whose method panics.
type nowhere struct{ at *int }

func (n nowhere) Error() string { return strconv.Itoa(*n.at) }

func TestBadHandlersAreCaught(t *testing.T) {
	one := &citizen{}
	var calls atomic.Int64
	for _, c := range []struct {
		name   string
		handle func(ctx context.Context, r occamy.Request) (occamy.Task, error)
		want   []string // see recorder.want
	}{
		{"refuses a good request", func(context.Context, occamy.Request) (occamy.Task, error) {
			return nil, errors.New("not today")
		}, []string{`refused|example 0|"not today"`}},
		{"returns nothing", func(context.Context, occamy.Request) (occamy.Task, error) {
			return nil, nil
		}, []string{"nil|example 0|nil task (of type <nil>) and no error"}},
		{"returns nothing for garbage", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			if t, err := careful(ctx, r); err == nil {
				return t, nil
			}
			var none *citizen
			return none, nil
		}, []string{"nil|example 0 with the body (none)|*occamytest_test.citizen"}},
		{"panics over a header of another type", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			_ = r.Headers["count"].(string)
			return careful(ctx, r)
		}, []string{"panic|example 0 with no header count|interface conversion|handler_test.go"}},
		{"panics over a body that is cut off", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			_ = r.Body[20]
			return careful(ctx, r)
		}, []string{"panic|index out of range [20]"}},
		{"has an error that panics", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			t, err := careful(ctx, r)
			if err != nil {
				return nil, nowhere{}
			}
			return t, nil
		}, []string{"panic|nil pointer"}},
		{"ends its goroutine", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			t, err := careful(ctx, r)
			if err != nil {
				runtime.Goexit()
			}
			return t, nil
		}, []string{"panic|ended its goroutine"}},
		{"gives tasks whose details panic", func(context.Context, occamy.Request) (occamy.Task, error) {
			return &citizen{details: func() occamy.Details { panic("ouch") }}, nil
		}, []string{"panic|ouch"}},
		{"is slow", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			deaf(150 * time.Millisecond)
			return careful(ctx, r)
		}, []string{"slow|the fastest of 3 calls of Handle took 150ms|Move the work to Do"}},
		{"does not return", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			deaf(20 * time.Second)
			return careful(ctx, r)
		}, []string{"slow|had not returned after 5s|occamytest_test.deaf"}},
		{"does not return when the body is garbage", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			t, err := careful(ctx, r)
			if err != nil {
				deaf(20 * time.Second)
			}
			return t, err
		}, []string{"slow|example 0 with the body (none): Handle had not returned after 5s"}},
		{"makes up an ID", func(context.Context, occamy.Request) (occamy.Task, error) {
			id := strconv.Itoa(rand.Int())
			return &citizen{details: func() occamy.Details { return occamy.Details{ID: id} }}, nil
		}, []string{"details|that of a later one|Take the details from the request"}},
		{"counts a deadline from now", func(context.Context, occamy.Request) (occamy.Task, error) {
			at := time.Now().Add(time.Hour + time.Duration(calls.Add(1)))
			return &citizen{details: func() occamy.Details { return occamy.Details{Deadline: at} }}, nil
		}, []string{"details|Deadline"}},
		{"gives tasks whose details change", func(context.Context, occamy.Request) (occamy.Task, error) {
			var n int
			return &citizen{details: func() occamy.Details { n++; return occamy.Details{Priority: n} }}, nil
		}, []string{"details|Details of one task said {ID: Kind: Request: Priority:1"}},
		{"gives the same task twice", func(context.Context, occamy.Request) (occamy.Task, error) {
			return one, nil
		}, []string{"shared|the same task|Make the task in Handle"}},
		{"changes the body", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			t, err := careful(ctx, r)
			if len(r.Body) > 0 {
				r.Body[0] = 'x'
			}
			return t, err
		}, []string{"mutated|example 0:|Work on a copy"}},
		{"changes the headers", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			t, err := careful(ctx, r)
			delete(r.Headers, "colour")
			return t, err
		}, []string{"mutated|example 0:"}},
		{"leaves a goroutine behind", func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			if r.Attempt == 1 && r.ID != "" {
				go lingers(20 * time.Second)
			}
			return careful(ctx, r)
		}, []string{"goroutine|occamytest_test.lingers|Start them in Do"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				occamytest.Handler(&r, occamy.HandlerFunc(c.handle), good())
				r.want(t, c.want...)
				deaf(time.Minute) // the bubble wants every goroutine to end
			})
		})
	}
	t.Run("nothing to try", func(t *testing.T) {
		var r recorder
		occamytest.Handler(&r, occamy.HandlerFunc(careful))
		if len(r.errors) != 1 {
			t.Errorf("got %q, want one error", r.errors)
		}
	})
}
