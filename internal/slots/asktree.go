package slots

// The jobs of an owner that may be asked are in a leftist tree whose root is
// the one that started first. All it does costs the logarithm of its size.

type treeNode struct {
	left, right, up int32
	rank            int32 // of the shortest way down to a missing child
	in              bool
}

func (t *Table) rank(i int32) int32 {
	if i == none {
		return 0
	}
	return t.jobs[i].tree.rank
}

// meld joins two trees, either of which may be none, and returns the root,
// whose up is for the caller to set.
func (t *Table) meld(a, b int32) int32 {
	if a == none {
		return b
	}
	if b == none {
		return a
	}
	if t.jobs[b].run < t.jobs[a].run {
		a, b = b, a
	}
	n := &t.jobs[a].tree
	n.right = t.meld(n.right, b)
	t.jobs[n.right].tree.up = a
	t.lean(n)
	return a
}

// lean puts the children of n in order and reports whether its rank changed.
func (t *Table) lean(n *treeNode) bool {
	if t.rank(n.left) < t.rank(n.right) {
		n.left, n.right = n.right, n.left
	}
	was := n.rank
	n.rank = t.rank(n.right) + 1
	return n.rank != was
}

// treeAdd puts job i into the tree with the given root and returns the new one.
func (t *Table) treeAdd(root, i int32) int32 {
	t.jobs[i].tree = treeNode{left: none, right: none, up: none, rank: 1, in: true}
	root = t.meld(root, i)
	t.jobs[root].tree.up = none
	return root
}

// treeRemove takes job i out of the tree and returns its new root.
func (t *Table) treeRemove(root, i int32) int32 {
	n := t.jobs[i].tree
	t.jobs[i].tree = treeNode{}
	rest := t.meld(n.left, n.right)
	if rest != none {
		t.jobs[rest].tree.up = n.up
	}
	if n.up == none {
		return rest
	}
	up := &t.jobs[n.up].tree
	if up.left == i {
		up.left = rest
	} else {
		up.right = rest
	}
	for t.lean(up) && up.up != none {
		up = &t.jobs[up.up].tree
	}
	return root
}
