package occamytest_test

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// sum adds the numbers from 1 to n.
type sum struct{ n int }

func (sum) Details() occamy.Details { return occamy.Details{} }

func (s sum) Do(ctx context.Context) error {
	total := 0
	for i := 1; i <= s.n; i++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond): // stands for work
			total += i
		}
	}
	return occamy.SetResult(ctx, []byte(strconv.Itoa(total)))
}

func newSum(_ context.Context, r occamy.Request) (occamy.Task, error) {
	n, err := strconv.Atoi(string(r.Body))
	if err != nil {
		return nil, nil // a mistake: should be the error
	}
	return sum{n}, nil
}

// printer stands for the t of a test.
type printer struct{}

func (printer) Helper()             {}
func (printer) Logf(string, ...any) {}
func (printer) Errorf(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
}

// In a test, t stands where the example has a printer.
func ExampleTask() {
	occamytest.Task(printer{}, func() occamy.Task { return sum{50} },
		occamytest.KillTimeout(500*time.Millisecond), // that of the config
		occamytest.Within(10*time.Second),
	)
	fmt.Println("That is all.")
	// Output:
	// That is all.
}

// The handler makes a nil task when the body is no number.
func ExampleHandler() {
	occamytest.Handler(printer{}, occamy.HandlerFunc(newSum),
		occamy.Request{Kind: "sum", ID: "sum 1", Body: []byte("100"), Attempt: 1})
	// Output:
	// occamytest: nil: example 0 with the body (none): Handle returned a nil task (of type <nil>) and no error; expected one of the two. Return an error that says what is wrong with the request: it is the reason that its sender gets.
}
