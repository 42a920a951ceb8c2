package slots

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// idIndex finds the jobs that bear an ID. Those form a ring through their
// links; one of each ring, its head, stands in the chain of a bucket. That the
// hash differs from one process to the next shows nowhere.
type idIndex struct {
	seed    maphash.Seed
	buckets []int32 // as many as a power of two
	rings   int
}

// idEntry is a job's part of the index.
type idEntry struct {
	hash  uint64
	chain int32 // the next in the bucket, for the head of a ring
	head  bool
}

func newIDIndex() idIndex {
	return idIndex{seed: maphash.MakeSeed(), buckets: []int32{none}}
}

func (x *idIndex) bucket(hash uint64) *int32 {
	return &x.buckets[hash&uint64(len(x.buckets)-1)]
}

// ring returns the head of the ring of an ID, or none.
func (t *Table) ring(id string, hash uint64) int32 {
	i := *t.ids.bucket(hash)
	for i != none && (t.jobs[i].entry.hash != hash || t.jobs[i].id != id) {
		i = t.jobs[i].entry.chain
	}
	return i
}

// index gives job i, which has no ID yet, its ID.
func (t *Table) index(i int32, id string) {
	if id == "" {
		return
	}
	j := &t.jobs[i]
	j.id = id
	j.entry.hash = maphash.String(t.ids.seed, id)
	head := t.ring(id, j.entry.hash)
	if head == none {
		j.links[byID] = link{i, i}
		if t.ids.rings++; t.ids.rings > len(t.ids.buckets) {
			t.growIDs()
		}
		t.chain(i)
		return
	}
	tail := t.jobs[head].links[byID].prev
	j.links[byID] = link{tail, head}
	t.jobs[tail].links[byID].next = i
	t.jobs[head].links[byID].prev = i
}

// chain puts job i into its bucket as the head of its ring.
func (t *Table) chain(i int32) {
	j := &t.jobs[i]
	b := t.ids.bucket(j.entry.hash)
	j.entry.chain, j.entry.head = *b, true
	*b = i
}

// growIDs doubles the buckets.
func (t *Table) growIDs() {
	old := t.ids.buckets
	t.ids.buckets = make([]int32, 2*len(old))
	for b := range t.ids.buckets {
		t.ids.buckets[b] = none
	}
	for _, i := range old {
		for i != none {
			next := t.jobs[i].entry.chain
			t.chain(i)
			i = next
		}
	}
}

func (t *Table) unindex(i int32) {
	j := &t.jobs[i]
	if j.id == "" {
		return
	}
	at := j.links[byID]
	t.jobs[at.prev].links[byID].next = at.next
	t.jobs[at.next].links[byID].prev = at.prev
	if !j.entry.head {
		return
	}
	b := t.ids.bucket(j.entry.hash)
	for *b != i {
		b = &t.jobs[*b].entry.chain
	}
	*b = j.entry.chain
	if at.next == i {
		t.ids.rings--
	} else {
		t.chain(at.next)
	}
}

// bearers appends the jobs that bear the ID, in the order in which they were
// made; active leaves only those that are Running or Waiting.
func (t *Table) bearers(id string, active bool, refs []Ref) []Ref {
	if id == "" {
		return refs
	}
	head := t.ring(id, maphash.String(t.ids.seed, id))
	if head == none {
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
