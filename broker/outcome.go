package broker

import (
	"encoding/json"
	"fmt"

	"github.com/occamy-go/occamy"
)

// EncodeOutcome returns o as it is kept by brokers that keep bytes: JSON, by
// the names that occamy.Outcome gives.
func EncodeOutcome(o occamy.Outcome) ([]byte, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("broker: encode outcome of %q: %w", o.ID, err)
	}
	return b, nil
}

// DecodeOutcome is the inverse of EncodeOutcome.
func DecodeOutcome(b []byte) (occamy.Outcome, error) {
	var o occamy.Outcome
	if err := json.Unmarshal(b, &o); err != nil {
		return occamy.Outcome{}, fmt.Errorf("broker: decode outcome: %w", err)
	}
	switch o.Status {
	case occamy.Completed, occamy.Cancelled, occamy.Rejected:
		return o, nil
	}
	return occamy.Outcome{}, fmt.Errorf("broker: decode outcome: status %q is none of the ends of a request", o.Status)
}

// LimitReached is the outcome of a request that the broker dead-lettered
// because its deliveries were lost too often: no server settled it, and a
// client that waits gets an end all the same.
func LimitReached(id, kind string, deliveries int) occamy.Outcome {
	return occamy.Outcome{
		ID:      id,
		Kind:    kind,
		Status:  occamy.Rejected,
		Reason:  fmt.Sprintf("delivery limit reached: %d deliveries were lost", deliveries),
		Attempt: deliveries,
	}
}
