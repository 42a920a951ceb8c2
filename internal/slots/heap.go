package slots

// heap is a binary heap of jobs by their index in the arena. It knows where
// each of them stands, so that any can be moved or taken out.
type heap struct {
	before func(t *Table, a, b int32) bool // whether a comes before b
	items  []int32
	place  []int32 // by job: its place in items plus one, or zero
}

// top returns the first job, or none.
func (h *heap) top() int32 {
	if len(h.items) == 0 {
		return none
	}
	return h.items[0]
}

func (h *heap) has(i int32) bool { return h.place[i] != 0 }

// set brings the heap up to date after a change of job i, which is to be in it
// or not.
func (h *heap) set(t *Table, i int32, in bool) {
	if in || h.place[i] != 0 {
		h.change(t, i, in)
	}
}

func (h *heap) change(t *Table, i int32, in bool) {
	at := int(h.place[i]) - 1
	switch {
	case in && at < 0:
		h.items = append(h.items, i)
		h.up(t, len(h.items)-1)
	case in:
		h.down(t, h.up(t, at))
	case at >= 0:
		last := len(h.items) - 1
		moved := h.items[last]
		h.items = h.items[:last]
		h.place[i] = 0
		if at < last {
			h.items[at] = moved
			h.down(t, h.up(t, at))
		}
	}
}

// up moves the job at a place towards the top, and returns where it ends.
func (h *heap) up(t *Table, at int) int {
	i := h.items[at]
	for at > 0 {
		parent := (at - 1) / 2
		if !h.before(t, i, h.items[parent]) {
			break
		}
		h.put(at, h.items[parent])
		at = parent
	}
	h.put(at, i)
	return at
}

func (h *heap) down(t *Table, at int) {
	i := h.items[at]
	for {
		child := 2*at + 1
		if child >= len(h.items) {
			break
		}
		if right := child + 1; right < len(h.items) && h.before(t, h.items[right], h.items[child]) {
			child = right
		}
		if !h.before(t, h.items[child], i) {
			break
		}
		h.put(at, h.items[child])
		at = child
	}
	h.put(at, i)
}

func (h *heap) put(at int, i int32) {
	h.items[at] = i
	h.place[i] = int32(at) + 1
}
