package main

import (
	"context"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/examples/pricing"
)

func TestAPriceOnTwoServers(t *testing.T) {
	s := serveEmbedded(t, t.TempDir(), "--slots", "1")
	serve(t, "--broker", s.Broker, "--slots", "1")
	var v struct {
		Status string
		Result pricing.Result
	}
	decode(t, s.client(), &v, "submit", "price", "--header", "average=geometric", "--header", "paths=2000000", "--wait", "--json")
	r := v.Result
	if v.Status != "completed" || r.Paths != 2_000_000 || r.ClosedForm == nil {
		t.Fatalf("outcome %+v", v)
	}
	if off := (r.Price - *r.ClosedForm) / r.StandardError; !(math.Abs(off) < 4) {
		t.Errorf("%g ± %g is %g standard errors from %g", r.Price, r.StandardError, off, *r.ClosedForm)
	}
}

func TestAPriceThatCannotBeFound(t *testing.T) {
	s := serveEmbedded(t, t.TempDir())
	code, _, stderr := s.client().do(t, "submit", "price", "--header", "dates=many", "--wait")
	if code != exitFailed || !strings.Contains(stderr, `dates is "many"`) {
		t.Errorf("exit status %d, %s", code, stderr)
	}
}

func TestHelpNamesEveryKind(t *testing.T) {
	for _, verb := range []string{"serve", "submit"} {
		code, stdout, _ := run{}.do(t, verb, "--help")
		for _, kind := range []string{"route", "price"} {
			if code != exitOK || !strings.Contains(stdout, kind) {
				t.Errorf("exit status %d; help of %s does not name %s", code, verb, kind)
			}
		}
	}
}

// What a request has found, and the time that it took, outlive its server.
func TestARouteGoesOnFromWhatItHad(t *testing.T) {
	first := serveEmbedded(t, t.TempDir(), "--slots", "1", "--grace", "100ms")
	second := serve(t, "--broker", first.Broker, "--slots", "1", "--grace", "100ms")
	if code, _, _ := first.client().do(t, "drain", first.Server); code != exitOK {
		t.Fatalf("drain: exit status %d", code)
	}
	first.await(t, func(f fleet) bool {
		return slices.ContainsFunc(f.Servers, func(s occamy.Snapshot) bool { return s.Server == first.Server && s.Draining })
	})
	errs, ended := newOutput(), make(chan int, 1)
	go func() {
		ended <- first.client().start(context.WithoutCancel(t.Context()), newOutput(), errs,
			"submit", "route", "--id", "long", "--file", instance, "--header", "time-limit=1h", "--wait")
	}()
	// elapsed waits for a line of progress that says at least so much.
	elapsed := func(least int) int {
		deadline := time.After(patience)
		for {
			last := 0
			for _, m := range elapsedMS.FindAllStringSubmatch(errs.String(), -1) {
				n, err := strconv.Atoi(m[1])
				if err != nil || n < last {
					t.Fatalf("%v; %d ms after %d ms in\n%s", err, n, last, errs)
				}
				last = n
			}
			if last >= least {
				return last
			}
			select {
			case <-errs.more:
			case <-deadline:
				t.Fatalf("no progress in\n%s", errs)
			}
		}
	}
	before := elapsed(1000)
	second.signals <- os.Interrupt
	if code := second.end(t); code != exitOK {
		t.Errorf("exit status %d after an interrupt", code)
	}
	if code, _, _ := first.client().do(t, "resume", first.Server); code != exitOK {
		t.Errorf("resume: exit status %d", code)
	}
	elapsed(before + 1000)
	if code, _, _ := first.client().do(t, "control", "long", "--header", "time-limit=1ms"); code != exitOK {
		t.Errorf("control: exit status %d", code)
	}
	select {
	case code := <-ended:
		if code != exitOK {
			t.Errorf("exit status %d, %s", code, errs)
		}
	case <-time.After(patience):
		t.Fatal("the request does not end")
	}
}

var elapsedMS = regexp.MustCompile(`elapsed_ms=(\d+)`)
