package fleet

import (
	"encoding/json"
	"fmt"
	"testing"
)

// BenchmarkDecode is an announcement of a busy server of a large fleet: four
// tasks that began or ended.
func BenchmarkDecode(b *testing.B) {
	a := announcement{Server: "server-001", Epoch: 1790000000000000000, Seq: 12345, info: info{State: stateUp, Started: 1790000000000, Kinds: []string{"work"}, Size: 16}}
	for i := range 4 {
		id := fmt.Sprintf("t179000000000%d-server-001", i)
		a.Slots = append(a.Slots, Slot{Slot: i, Status: "protected", Phase: "running", ID: id, Kind: "work", Request: "request-1", Owner: "request-1", Attempt: 1, Since: 1790000000000})
		a.Events = append(a.Events, Event{N: uint64(1000 + i), Time: 1790000000000, Type: Started, Slot: i, Status: "protected", ID: id, Kind: "work", Request: "request-1", Attempt: 1})
	}
	body, err := json.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
