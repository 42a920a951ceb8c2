package checkpoint_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
)

func TestMemoryConforms(t *testing.T) {
	checkpointtest.Run(t, func(*testing.T) checkpointtest.World {
		const most = 1 << 20
		m := checkpoint.NewMemory(checkpoint.Options{MaxValue: most, MaxAge: 24 * time.Hour})
		return checkpointtest.World{
			Open:     func(testing.TB) checkpoint.Store { return m },
			MaxValue: most, Seeds: 300,
			Expire: func(t testing.TB, key string) { checkpoint.MakeOld(m, key, 24*time.Hour) },
		}
	})
}

func TestMemoryKeepsAValueForMaxAgeAfterItsLastSave(t *testing.T) {
	for name, tt := range map[string]struct {
		opts checkpoint.Options
		age  time.Duration // 0: for ever
	}{
		"default":  {checkpoint.Options{}, 7 * 24 * time.Hour},
		"an hour":  {checkpoint.Options{MaxAge: time.Hour}, time.Hour},
		"for ever": {checkpoint.Options{MaxAge: -1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := checkpoint.NewMemory(tt.opts)
				for i := range 100 {
					if _, err := m.Save(t.Context(), fmt.Sprint(i), nil); err != nil {
						t.Fatal(err)
					}
				}
				age := max(tt.age, time.Hour)
				time.Sleep(age - 1)
				if _, err := m.Save(t.Context(), "7", nil); err != nil {
					t.Fatal(err)
				}
				if m.Len() != 100 {
					t.Errorf("%d are left just before", m.Len())
				}
				time.Sleep(time.Nanosecond)
				if want := map[bool]int{true: 100, false: 1}[tt.age == 0]; m.Len() != want {
					t.Errorf("%d are left, want %d", m.Len(), want)
				}
				time.Sleep(1000 * age)
				if want := map[bool]int{true: 100, false: 0}[tt.age == 0]; m.Len() != want {
					t.Errorf("%d are left in the end, want %d", m.Len(), want)
				}
			})
		})
	}
}

// Every ID of a request is a key, with a suffix too.
func TestKeysOfRequests(t *testing.T) {
	for _, id := range []string{"r", "a/b", "é", strings.Repeat("x", broker.MaxID)} {
		if err := broker.CheckID(id); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{id, id + "/s/1", id + strings.Repeat("/s/123456789", 40)} {
			if err := checkpoint.CheckKey(key); err != nil {
				t.Errorf("%.20q: %v", key, err)
			}
		}
	}
	if err := checkpoint.CheckKey(strings.Repeat("x", checkpoint.MaxKey+1)); !errors.Is(err, checkpoint.ErrInvalidKey) {
		t.Error(err)
	}
}
