package slots

import (
	"cmp"
	"slices"
)

// The jobs that bear an ID form a ring; byID names one of them.

// index gives job i, which has no ID yet, its ID.
func (t *Table) index(i int32, id string) {
	if id == "" {
		return
	}
	t.jobs[i].id = id
	head, ok := t.byID[id]
	if !ok {
		t.jobs[i].links[byID] = link{i, i}
		t.byID[id] = i
		return
	}
	tail := t.jobs[head].links[byID].prev
	t.jobs[i].links[byID] = link{tail, head}
	t.jobs[tail].links[byID].next = i
	t.jobs[head].links[byID].prev = i
}

func (t *Table) unindex(i int32) {
	j := &t.jobs[i]
	if j.id == "" {
		return
	}
	at := j.links[byID]
	switch {
	case at.next == i:
		delete(t.byID, j.id)
		return
	case t.byID[j.id] == i:
		t.byID[j.id] = at.next
	}
	t.jobs[at.prev].links[byID].next = at.next
	t.jobs[at.next].links[byID].prev = at.prev
}

// bearers appends the jobs that bear the ID, in the order in which they were
// made; active leaves only those that are Running or Waiting.
func (t *Table) bearers(id string, active bool, refs []Ref) []Ref {
	head, ok := t.byID[id]
	if !ok {
		return refs
	}
	first := len(refs)
	for i := head; ; {
		j := &t.jobs[i]
		if !active || j.phase == Running || j.phase == Waiting {
			refs = append(refs, j.ref)
		}
		if i = j.links[byID].next; i == head {
			break
		}
	}
	// Requests get their IDs in the order in which their handlers return.
	slices.SortFunc(refs[first:], t.byMaking)
	return refs
}

func (t *Table) byMaking(a, b Ref) int {
	return cmp.Compare(t.jobs[a.Index()].seq, t.jobs[b.Index()].seq)
}
