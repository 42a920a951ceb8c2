package dashboard

import "github.com/occamy-go/occamy/dashboard/fleet"

// Of returns v as a page shows it. It must Run for as long as there are pages.
func Of(v *fleet.View) Fleet { return view{v} }

type view struct{ *fleet.View }

func (v view) Since(version uint64) (any, uint64) { return v.View.Since(version) }

func (v view) Task(id string) (Task, bool) {
	t, ok := v.View.Task(id)
	return Task{Slots: append([]fleet.Place{}, t.Places...), Events: append([]fleet.Event{}, t.Events...)}, ok
}
