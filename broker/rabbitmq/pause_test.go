package rabbitmq

import (
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/brokertest"
)

// The server may say that it takes requests again just when Consume ends. The
// lanes have given back their credit then, and must not draw it anew.
func TestALaneWhoseConsumeEndsTakesNoMoreThoughTheServerResumes(t *testing.T) {
	in := brokertest.NewIntake("a", 3, occamy.HeaderKeys{}, "k")
	c := newConsumer(&Broker{}, in, in.Info())
	c.balance()
	l := c.lanes[0]
	l.aim(3)
	c.pause(true)
	c.over.Store(true)
	c.pause(false)
	if got := l.goal(); got != 0 {
		t.Errorf("the lane is to have a credit of %d", got)
	}
}
