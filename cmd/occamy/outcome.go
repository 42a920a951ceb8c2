package main

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/occamy-go/occamy"
)

// outcomeView is an outcome as --json prints it. A result that is JSON stands
// in "result" as it is, other text as a string; what is not UTF-8 stands in
// "result_base64".
type outcomeView struct {
	ID           string               `json:"id"`
	Status       occamy.OutcomeStatus `json:"status"`
	Result       json.RawMessage      `json:"result,omitempty"`
	ResultBase64 []byte               `json:"result_base64,omitempty"`
	Reason       string               `json:"reason,omitempty"`
}

func viewOutcome(o occamy.Outcome) (outcomeView, error) {
	v := outcomeView{ID: o.ID, Status: o.Status, Reason: o.Reason}
	switch {
	case len(o.Result) == 0:
	case !utf8.Valid(o.Result):
		v.ResultBase64 = o.Result
	case json.Valid(o.Result):
		v.Result = o.Result
	default:
		text, err := json.Marshal(string(o.Result))
		if err != nil {
			return v, err
		}
		v.Result = text
	}
	return v, nil
}

// printOutcome prints an outcome: all of it with --json, else the result of
// one that completed.
func (a *app) printOutcome(o occamy.Outcome) error {
	if !a.json {
		if o.Status != occamy.Completed {
			return nil
		}
		return a.printBytes(o.Result)
	}
	v, err := viewOutcome(o)
	if err != nil {
		return err
	}
	return a.printJSON(v)
}
