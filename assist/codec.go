package assist

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
)

// encode returns v as it travels: bytes as they are, what is an
// encoding.BinaryMarshaler by that, and all else as JSON.
func encode[T any](v T) ([]byte, error) {
	switch v := any(v).(type) {
	case []byte:
		return v, nil
	case encoding.BinaryMarshaler:
		return v.MarshalBinary()
	}
	return json.Marshal(v)
}

// decode is the inverse of encode.
func decode[T any](b []byte) (T, error) {
	var v T
	switch p := any(&v).(type) {
	case *[]byte:
		*p = bytes.Clone(b) // what is computed may change it
		return v, nil
	case encoding.BinaryUnmarshaler:
		if err := p.UnmarshalBinary(b); err != nil {
			return v, fmt.Errorf("assist: decode a %T: %w", v, err)
		}
		return v, nil
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("assist: decode a %T: %w", v, err)
	}
	return v, nil
}
