package rabbitmq

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestConfigNamesEveryProblem(t *testing.T) {
	_, _, err := Config{
		Prefix: "A.b", QueueType: "stream", MaxDeliver: -1, MaxPayload: -1,
		ConsumerTimeout: time.Millisecond, OutcomeAge: -1, ProgressAge: 1000 * time.Hour, CertFile: "x",
	}.withDefaults()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"prefix", "QueueType", "MaxDeliver", "MaxPayload", "ConsumerTimeout", "OutcomeAge", "ProgressAge", "KeyFile"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	cfg, n, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.QueueType != Quorum || cfg.MaxDeliver != 5 || cfg.MaxPayload != 16<<20 || n.requestQueue("a b") != "occamy.request.=YSBi" {
		t.Errorf("the defaults are %+v", cfg)
	}
}

func TestNoErrorShowsASecret(t *testing.T) {
	const secret = "hunter2"
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, url := range []string{
		"amqp://me:" + secret + "@[::1/", "amqp://me:" + secret + "%zz@127.0.0.1:1/", "http://me:" + secret + "@127.0.0.1:1/",
		"amqp://me:" + secret + "@127.0.0.1:port/", "amqp://me:" + secret + "@127.0.0.1:1/?auth_mechanism=odd",
		"amqp://me:" + secret + "@127.0.0.1:1/?heartbeat=x", "amqp://me:" + secret + " @127.0.0.1:1/",
		"amqps://me:" + secret + "@127.0.0.1:1/?cacertfile=/nowhere", ",",
	} {
		_, err := Open(ctx, Config{URL: url})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Open: %v; want an error without the secret", err)
		}
	}
	b, err := Open(ctx, Config{URL: "me:" + secret + "@127.0.0.1:1/v,amqps://me:" + secret + "@[::1]:1", Background: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if want := "amqp://127.0.0.1:1/v,amqps://[::1]:1/"; b.Name() != want {
		t.Errorf("Name is %q, want %q", b.Name(), want)
	}
	short, end := context.WithTimeout(ctx, 200*time.Millisecond)
	defer end()
	if _, err := b.in.wait(short); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("waiting in vain: %v; want an error without the secret", err)
	}
}

func TestCredentialsOfTheConfigAreForURLsWithoutAny(t *testing.T) {
	all, err := Config{URL: "amqp://h,amqp://other:own@h", User: "u", Password: "p"}.parseURLs()
	if err != nil {
		t.Fatal(err)
	}
	if all[0].Username != "u" || all[0].Password != "p" || all[1].Username != "other" || all[1].Password != "own" {
		t.Error("the credentials are mixed up")
	}
}

// A password that is not escaped makes an address of something else, of which
// parts would be shown.
func TestAPasswordThatIsNotEscapedIsNotShown(t *testing.T) {
	for _, url := range []string{
		"amqp://user:12/secret@host:5672/vhost", "amqp://user:12?secret@host", "amqp://user:12#secret@host",
		"user:12/secret@host", "amqp://host,amqp://user:12/secret@host", "amqp://user:12,secret@host", "amqp://user:12,secret:x@host",
		"amqp://user:se%cret@host", "amqp://user:se cret@host", "amqp://user:12/secret@host?auth_mechanism=plain",
	} {
		all, err := Config{URL: url}.parseURLs()
		if err == nil {
			t.Errorf("%s is taken for %v", url, all)
		} else if strings.Contains(err.Error(), "12") || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: the error shows the password: %v", url, err)
		}
	}
	for _, url := range []string{
		"amqp://user:12%2Fsecret@host:5672/vhost", "amqp://user:12@host/v%40host", "amqp://a:b@h1,amqp://a:b@h2", "h1,h2:1,amqps://h3",
		"amqp://user:p@host?heartbeat=5&channel_max=10",
	} {
		if _, err := (Config{URL: url}).parseURLs(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestReconnectDelayGrowsWithTheOutage(t *testing.T) {
	for _, c := range []struct{ down, least, most time.Duration }{
		{0, 37 * time.Millisecond, 63 * time.Millisecond},
		{8 * time.Second, 750 * time.Millisecond, 1250 * time.Millisecond},
		{10 * time.Second, 900 * time.Millisecond, 1600 * time.Millisecond},
		{time.Hour, 7500 * time.Millisecond, 12500 * time.Millisecond},
	} {
		seen := make(map[time.Duration]bool)
		for range 100 {
			d := reconnectDelay(c.down)
			seen[d] = true
			if d < c.least || d > c.most {
				t.Errorf("after %v: %v; want %v to %v", c.down, d, c.least, c.most)
			}
		}
		if len(seen) < 50 {
			t.Errorf("after %v: only %d waits of 100 differ", c.down, len(seen))
		}
	}
}

func TestADelayIsAtMostAFifthLonger(t *testing.T) {
	buckets := make(map[time.Duration]bool)
	for d := minDelay; d < 2*time.Hour; d += d/37 + time.Microsecond {
		bucket := delayBucket(d)
		buckets[bucket] = true
		if bucket < d || bucket > d*6/5+2*time.Millisecond || bucket%time.Millisecond != 0 {
			t.Errorf("a delay of %v becomes %v", d, bucket)
		}
		if delayBucket(bucket) != bucket {
			t.Errorf("a delay of %v becomes %v", bucket, delayBucket(bucket))
		}
	}
	if len(buckets) > 4*21 {
		t.Errorf("%d queues for the delays up to two hours", len(buckets))
	}
	for _, d := range []time.Duration{-1, 0, 1} {
		if got := delayBucket(d); got < minDelay || got > 2*minDelay {
			t.Errorf("a delay of %v becomes %v", d, got)
		}
	}
	if got := delayBucket(1 << 62); got.Milliseconds() >= 1<<32 {
		t.Errorf("the longest delay, %v, is more than RabbitMQ takes", got)
	}
}
