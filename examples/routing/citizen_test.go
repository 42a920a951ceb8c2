package routing

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

func TestTheTasksAreGoodCitizens(t *testing.T) {
	in := mustParse(t, string(mustFile(t, "pcb442")))
	isTour := func(result []byte) error {
		var r Result
		if err := json.Unmarshal(result, &r); err != nil {
			return err
		}
		length, err := in.Check(r.Tour)
		if err == nil && length != r.Length {
			err = fmt.Errorf("its length is %d, not %d", length, r.Length)
		}
		return err
	}
	until := time.Now().Add(time.Hour)
	for _, c := range []struct {
		name    string
		factory func() occamy.Task
		options []occamytest.Option
	}{
		{"master", func() occamy.Task {
			return mustHandle[*master](t, newHub(), request(t, "pcb442", occamy.Headers{HeaderTimeLimit: "200ms"}))
		}, []occamytest.Option{
			occamytest.Varying(), occamytest.Complete(isTour),
			occamytest.ControlMessage(occamy.Headers{headerMessage: sayHello}, nil),
			occamytest.ControlMessage(occamy.Headers{headerMessage: sayTour}, []byte(`{"tour":[1,2,3]}`)),
			occamytest.ControlMessage(occamy.Headers{HeaderTimeLimit: "1h"}, nil),
		}},
		{"envoy", func() occamy.Task { return newEnvoy(newHub(), in.clone(), "trip", until) },
			[]occamytest.Option{occamytest.Endless(100 * time.Millisecond)}},
		{"assistant", func() occamy.Task { return newAssistant(newHub(), in.clone(), "trip") },
			[]occamytest.Option{occamytest.Endless(100 * time.Millisecond)}},
	} {
		t.Run(c.name, func(t *testing.T) { occamytest.Task(t, c.factory, c.options...) })
	}
}

func TestTheHandlerIsAGoodCitizen(t *testing.T) {
	trip := request(t, "eil51", occamy.Headers{HeaderTimeLimit: "5s", HeaderTarget: "426"})
	help := request(t, "eil51", occamy.Headers{
		headerMaster: "trip", headerUntil: time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano),
	})
	help.ID, help.Optional = assistantsID("trip"), true
	occamytest.Handler(t, NewHandler(newHub()), trip, help)
}
