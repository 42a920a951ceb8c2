package occamy

import (
	"math"
	"reflect"
)

// size is about how many bytes a message takes, of whatever types its headers
// are.
func size(m Message) int {
	n := len(m.Body())
	for k, v := range m.Headers() {
		n += len(k) + 16
		if s, ok := v.(string); ok {
			n += len(s)
			continue
		}
		left := maxHeaderParts
		n += valueSize(reflect.ValueOf(v), &left)
	}
	return n
}

const (
	// maxHeaderParts bounds the time that is spent on one header.
	maxHeaderParts = 1 << 14
	// immense is the size of what has more parts than that, or has itself as a
	// part.
	immense = math.MaxInt >> 4
)

// valueSize is the size of a header's value beyond that of a word or two. left
// is how many parts may still be looked at.
func valueSize(v reflect.Value, left *int) int {
	if *left--; *left < 0 {
		return immense
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Slice, reflect.Array:
		n := v.Len() * int(v.Type().Elem().Size())
		if hasParts(v.Type().Elem()) {
			for i := 0; i < v.Len() && n < immense; i++ {
				n += valueSize(v.Index(i), left)
			}
		}
		return n
	case reflect.Map:
		n := 0
		for entries := v.MapRange(); n < immense && entries.Next(); {
			n += 48 + valueSize(entries.Key(), left) + valueSize(entries.Value(), left)
		}
		return n
	case reflect.Pointer, reflect.Interface:
		return valueSize(v.Elem(), left)
	case reflect.Struct:
		n := int(v.Type().Size())
		for i := 0; i < v.NumField() && n < immense; i++ {
			n += valueSize(v.Field(i), left)
		}
		return n
	default:
		return 0
	}
}

// hasParts tells whether values of a type are more than the bytes that stand in
// a slice of them.
func hasParts(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer, reflect.Interface, reflect.Struct:
		return true
	default:
		return false
	}
}
