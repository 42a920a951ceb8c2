package checkpointtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
)

func valuesComeBack(t *testing.T, w World) {
	b, other := w.box(t, "key"), w.box(t, "key")
	b.wantNone()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, v := range []string{"text", "", string(every), "\x00", "\xff\xfe", "a\r\nb", strings.Repeat("x", 100_000)} {
		rev := b.save(v)
		b.want(v, rev)
		other.want(v, rev)
		rev = b.compareAndSave(v, rev)
		other.want(v, rev)
	}
}

func valuesAreCopies(t *testing.T, w World) {
	b := w.box(t, "key")
	v := []byte("value")
	rev, err := b.store.Save(b.ctx, b.key, v)
	if err != nil {
		t.Fatal(err)
	}
	v[0] = 'X'
	b.want("value", rev)
	e, err := b.store.Load(b.ctx, b.key)
	if err != nil {
		t.Fatal(err)
	}
	e.Value[0] = 'Y'
	_ = append(e.Value, "more"...)
	b.want("value", rev)
}

func oddKeys(t *testing.T, w World) {
	keys := []string{
		"a", "A", "a/s/1", "a/s/10", "a/", "/a", "a//s", "..", ".", "../../../etc/passwd", `..\..\x`, "a.b", "a..b",
		"*", ">", "a.*", "$KV", "a b", "a  b", "%2F", "%", "=2F", "CON", "nul.txt", "~", "-rf", "$(id)", "`id`", "';--", `"`,
		"a\u00e9", "ae\u0301", "日本語", "🦉", "a\u2028b", strings.Repeat("k", 255), strings.Repeat("k", 256),
		strings.Repeat("é", 256) + "/s/1", strings.Repeat("é", 256) + "/s/2", strings.Repeat("z", checkpoint.MaxKey),
	}
	store, other := w.Open(t), w.Open(t)
	revs := map[string]checkpoint.Revision{}
	at := func(s checkpoint.Store, key string) *box { return &box{t, within(t), s, key} }
	for _, key := range keys {
		revs[key] = at(store, key).compareAndSave("of "+key, 0)
	}
	for _, key := range keys {
		at(other, key).want("of "+key, revs[key])
	}
	for i, key := range keys {
		at(other, key).remove()
		for j, k := range keys {
			if j > i {
				at(store, k).want("of "+k, revs[k])
			}
		}
		at(store, key).wantNone()
	}
}

func invalidKeys(t *testing.T, w World) {
	b := w.box(t, "")
	for _, key := range []string{"", " ", " a", "a ", "a\x00b", "a\nb", "\xff", "a\u0085", strings.Repeat("k", checkpoint.MaxKey+1)} {
		_, loaded := b.store.Load(b.ctx, key)
		_, saved := b.store.Save(b.ctx, key, nil)
		_, compared := b.store.CompareAndSave(b.ctx, key, nil, 0)
		for _, err := range []error{loaded, saved, compared, b.store.Delete(b.ctx, key)} {
			if !errors.Is(err, checkpoint.ErrInvalidKey) {
				t.Errorf("key %.20q: %v; want ErrInvalidKey", key, err)
			}
		}
	}
}

func sizes(t *testing.T, w World) {
	b := w.box(t, "key")
	full := bytes.Repeat([]byte{0xfe}, w.MaxValue)
	rev := b.save(string(full))
	b.want(string(full), rev)
	over := append(full, 1)
	_, saved := b.store.Save(b.ctx, b.key, over)
	_, compared := b.store.CompareAndSave(b.ctx, b.key, over, rev)
	for _, err := range []error{saved, compared} {
		if !errors.Is(err, checkpoint.ErrTooLarge) || !errors.Is(err, occamy.ErrTooLarge) {
			t.Fatalf("%d bytes: %v; want ErrTooLarge", len(over), err)
		}
	}
	b.want(string(full), rev)
}

func expires(t *testing.T, w World) {
	b := w.box(t, "key")
	rev := b.save("old")
	w.Expire(t, b.key)
	b.wantNone()
	b.conflict(rev)
	b.wantNone()
	next := b.compareAndSave("new", 0)
	if next <= rev {
		t.Errorf("revision %d after %d had expired", next, rev)
	}
	b.want("new", next)
	w.Expire(t, b.key)
	if again := b.save("newer"); again <= next {
		t.Errorf("revision %d after %d had expired", again, next)
	}
	w.Expire(t, b.key)
	b.remove()
	b.wantNone()
}

func contextEnded(t *testing.T, w World) {
	b := w.box(t, "key")
	rev := b.save("value")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, loaded := b.store.Load(ctx, b.key)
	_, saved := b.store.Save(ctx, b.key, []byte("x"))
	_, compared := b.store.CompareAndSave(ctx, b.key, []byte("x"), rev)
	for i, err := range []error{loaded, saved, compared, b.store.Delete(ctx, b.key)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v; want context.Canceled", i, err)
		}
	}
	b.want("value", rev)
}

func deletes(t *testing.T, w World) {
	b := w.box(t, "key")
	b.remove()
	b.wantNone()
	for i := range 3 {
		rev := b.save(fmt.Sprint(i))
		b.remove()
		b.wantNone()
		b.conflict(rev)
		b.remove()
	}
}

func comparesBeforeDelete(t *testing.T, w World) {
	b := w.box(t, "key")
	d, ok := b.store.(checkpoint.CompareAndDeleter)
	if !ok {
		return // Progress does without
	}
	refused := func(rev checkpoint.Revision) {
		t.Helper()
		if err := d.CompareAndDelete(b.ctx, b.key, rev); !errors.Is(err, checkpoint.ErrConflict) {
			t.Errorf("CompareAndDelete at %d: %v; want ErrConflict", rev, err)
		}
	}
	refused(1)
	old := b.save("old")
	rev := b.save("new")
	refused(old)
	refused(rev + 1)
	refused(0)
	b.want("new", rev)
	if err := d.CompareAndDelete(b.ctx, b.key, rev); err != nil {
		t.Fatalf("CompareAndDelete: %v", err)
	}
	b.wantNone()
	refused(rev)
	b.conflict(rev)
}
