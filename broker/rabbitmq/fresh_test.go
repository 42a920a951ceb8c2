//go:build services

package rabbitmq

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"
)

// What goes to streams shares a channel with what is published at the same
// moment only.
func TestStreamsArePublishedToOverFreshChannels(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	b, err := Open(ctx, Config{URL: os.Getenv("OCCAMY_AMQP_URL")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	<-b.freshPub.opening // so that all of them come before a channel is opened
	var mu sync.Mutex
	var all sync.WaitGroup
	used := make(map[*publisher]bool)
	const n = 8
	for range n {
		all.Go(func() {
			p, leave, err := b.publisher(ctx, fresh)
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			mu.Lock()
			used[p] = true
			mu.Unlock()
		})
	}
	for joined := 0; joined < n; {
		b.freshPub.mu.Lock()
		if g := b.freshPub.forming; g != nil {
			joined = g.members
		}
		b.freshPub.mu.Unlock()
	}
	b.freshPub.opening <- struct{}{}
	all.Wait()
	if len(used) != 1 {
		t.Errorf("%d channels for those of one moment, want 1", len(used))
	}

	later, leave, err := b.publisher(ctx, fresh)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if used[later] {
		t.Error("a later one got the channel of those before it")
	}
	for p := range used {
		select {
		case <-p.over:
		case <-ctx.Done():
			t.Error("the channel of those who are done stays open")
		}
	}
}

// Whoever gives up while the channel is being opened leaves it to the others.
func TestAFreshChannelOutlivesWhoAskedForIt(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	b, err := Open(ctx, Config{URL: os.Getenv("OCCAMY_AMQP_URL")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	<-b.freshPub.opening
	gone, leaveNow := context.WithCancel(ctx)
	first := make(chan error, 1)
	go func() {
		_, _, err := b.publisher(gone, fresh)
		first <- err
	}()
	for formed := false; !formed; {
		b.freshPub.mu.Lock()
		formed = b.freshPub.forming != nil
		b.freshPub.mu.Unlock()
	}
	second := make(chan error, 1)
	go func() {
		_, _, err := b.publisher(gone, fresh)
		second <- err
	}()
	for joined := false; !joined; {
		b.freshPub.mu.Lock()
		joined = b.freshPub.forming == nil || b.freshPub.forming.members == 2
		b.freshPub.mu.Unlock()
	}
	leaveNow()
	for _, c := range []chan error{first, second} {
		if err := <-c; err == nil {
			t.Error("got a channel though its ctx had ended")
		}
	}
	b.freshPub.opening <- struct{}{}
	_, leave, err := b.publisher(ctx, fresh)
	if err != nil {
		t.Fatalf("the next: %v", err)
	}
	leave()
}
