package assist

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// encode returns v as it travels: bytes as they are, what marshals itself both
// ways by that (encoding.BinaryMarshaler), and all else as JSON. What it returns
// shares nothing with v.
func encode[T any](v T) ([]byte, error) {
	if b, ok := any(v).([]byte); ok {
		return append([]byte{}, b...), nil
	}
	if reflect.TypeFor[T]().Kind() == reflect.Pointer {
		if m, ok := any(v).(marshals); ok {
			if reflect.ValueOf(v).IsNil() {
				return nil, fmt.Errorf("assist: a %T is nil", v)
			}
			return m.MarshalBinary()
		}
	} else if m, ok := any(&v).(marshals); ok {
		return m.MarshalBinary()
	}
	return json.Marshal(v)
}

// marshals is what encode and decode must both find.
type marshals interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// decode is the inverse of encode.
func decode[T any](b []byte) (v T, err error) {
	switch p := any(&v).(type) {
	case *[]byte:
		*p = bytes.Clone(b) // what is computed may change it
	case marshals:
		err = p.UnmarshalBinary(b)
	default:
		if m, ok := pointee(&v); ok {
			err = m.UnmarshalBinary(b)
		} else {
			err = json.Unmarshal(b, &v)
		}
	}
	if err != nil {
		err = fmt.Errorf("assist: decode a %T: %w", v, err)
	}
	return v, err
}

// pointee lets *p point to a new value when that can unmarshal itself.
func pointee[T any](p *T) (marshals, bool) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Pointer || !t.Implements(reflect.TypeFor[marshals]()) {
		return nil, false
	}
	v := reflect.New(t.Elem())
	reflect.ValueOf(p).Elem().Set(v)
	return v.Interface().(marshals), true
}
