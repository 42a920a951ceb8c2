package main

import (
	"math"
	"strings"
	"testing"

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
