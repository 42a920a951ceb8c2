package rabbitmq

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// fakeBindings is a broker's word on what a queue is bound by.
type fakeBindings struct {
	mu    sync.Mutex
	cost  time.Duration // of each call
	calls []string
	err   error
}

func (f *fakeBindings) QueueBind(_, key, _ string, _ bool, _ amqp.Table) error {
	return f.call("+" + key)
}

func (f *fakeBindings) QueueUnbind(_, key, _ string, _ amqp.Table) error { return f.call("-" + key) }

func (f *fakeBindings) call(s string) error {
	time.Sleep(f.cost) // virtual
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, s)
	return f.err
}

func (f *fakeBindings) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// begun starts a session of k over f.
func begun(k *keys, f *fakeBindings) (end func() error) {
	session, quit, done := k.begin(), make(chan struct{}), make(chan error, 1)
	go func() { done <- k.follow(session, f, "q", quit) }()
	return func() error {
		close(quit)
		k.end()
		return <-done
	}
}

func TestKeysOfShortTasksAreNotBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, f := newKeys("x", 3*time.Millisecond, nil), &fakeBindings{}
		end := begun(k, f)
		for i := range 1000 {
			k.want(fmt.Sprint(i))
			time.Sleep(time.Millisecond)
			k.drop(fmt.Sprint(i))
		}
		k.want("long")
		time.Sleep(time.Second)
		if got := f.take(); !slices.Equal(got, []string{"+long"}) {
			t.Errorf("%d bindings, beginning with %v; want that of the long task alone", len(got), got[:min(len(got), 5)])
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		if len(k.wanted) != 1 || len(k.changed) != 0 {
			t.Errorf("%d keys and %d changes are remembered, want 1 and 0", len(k.wanted), len(k.changed))
		}
	})
}

func TestKeysAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, f := newKeys("x", 0, nil), &fakeBindings{}
		end := begun(k, f)
		for _, step := range []struct {
			do   func(string)
			want []string
		}{
			{k.want, []string{"+a"}}, {k.want, nil}, {k.drop, nil}, {k.drop, []string{"-a"}}, {k.drop, nil}, {k.want, []string{"+a"}},
		} {
			step.do("a")
			synctest.Wait()
			if got := f.take(); !slices.Equal(got, step.want) {
				t.Errorf("bindings %v, want %v", got, step.want)
			}
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever comes while the broker works on a binding is made up for.
func TestKeysThatChangeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, f := newKeys("x", 0, nil), &fakeBindings{cost: 10 * time.Millisecond}
		end := begun(k, f)
		k.want("a")
		time.Sleep(5 * time.Millisecond) // it is being bound
		k.drop("a")
		time.Sleep(10 * time.Millisecond) // it is being unbound
		k.want("a")
		time.Sleep(time.Second)
		if got := f.take(); !slices.Equal(got, []string{"+a", "-a", "+a"}) {
			t.Errorf("bindings %v", got)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func TestKeysAreBoundAnewOnANewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		k := newKeys("x", 0, func(key string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, key)
		})
		f := &fakeBindings{}
		k.want("before")
		end := begun(k, f)
		k.want("a")
		k.want("b")
		synctest.Wait()
		if err := end(); err != nil {
			t.Error(err)
		}
		k.drop("a")
		k.want("c")
		f.take()
		end = begun(k, f)
		synctest.Wait()
		k.want("c") // is told at once, though nothing is bound for it
		got := f.take()
		slices.Sort(got)
		if !slices.Equal(got, []string{"+b", "+before", "+c"}) {
			t.Errorf("on the new connection: %v", got)
		}
		mu.Lock()
		slices.Sort(told)
		if want := []string{"a", "b", "b", "before", "before", "c", "c"}; !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v", told, want)
		}
		mu.Unlock()
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func TestKeysEndWithAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, f := newKeys("x", 0, nil), &fakeBindings{err: errors.New("cut")}
		end := begun(k, f)
		k.want("a")
		synctest.Wait()
		if err := end(); !errors.Is(err, f.err) {
			t.Errorf("follow gives %v, want what the broker gave", err)
		}
	})
}

// A binding that is still under way on a lost connection says nothing of the
// new one.
func TestKeysOfALostConnectionDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told int
		k := newKeys("x", 0, func(string) { told++ })
		slow, f := &fakeBindings{cost: time.Minute}, &fakeBindings{}
		session, quit, done := k.begin(), make(chan struct{}), make(chan error, 1)
		go func() { done <- k.follow(session, slow, "q", quit) }()
		k.want("a")
		time.Sleep(time.Second)
		k.end() // and the old goroutine hangs on
		end := begun(k, f)
		synctest.Wait()
		k.drop("a")
		synctest.Wait()
		close(quit)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := f.take(); !slices.Equal(got, []string{"+a", "-a"}) || told != 1 {
			t.Errorf("on the new connection: %v, told %d times", got, told)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}
