package rabbitmq

import (
	"errors"
	"slices"
	"testing"
)

func TestTheLossOfBothConnectionsIsToldOnce(t *testing.T) {
	var told []error
	o := outage{tell: func(err error) { told = append(told, err) }}
	in, out := &link{}, &link{}
	gone := errors.New("gone")
	o.back(in) // the first time
	o.back(out)
	o.lost(in, gone)
	o.lost(out, errors.New("gone too"))
	o.back(out)
	if !slices.Equal(told, []error{gone}) {
		t.Fatalf("told %v before both are back", told)
	}
	o.back(in)
	o.back(in)
	o.lost(out, gone)
	o.back(out)
	if want := []error{gone, nil, gone, nil}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
