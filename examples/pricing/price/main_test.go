package main

import (
	"strings"
	"testing"
)

func TestThePriceIsPrintedBesideTheExactOne(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 2, 1, []string{"dates=1", "paths=1000000"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1000000 paths in ", " ± ", "the exact price is 10.450584, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for arg, want := range map[string]string{"paths": "not KEY=VALUE", "paths=few": "paths is"} {
		var out strings.Builder
		if err := run(&out, 1, 1, []string{arg}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", arg, err)
		}
	}
}
