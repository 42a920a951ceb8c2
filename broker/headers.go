package broker

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/occamy-go/occamy"
)

// HeaderText returns the text that a header's value travels as on a broker
// that carries strings only: a string as it is, booleans and numbers in
// decimal. A string that such a broker would not bring back as it was (not
// UTF-8, with a control character, or with a space at either end) and any
// other type give an error that wraps ErrInvalid.
func HeaderText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) || strings.TrimSpace(v) != v {
			return "", fmt.Errorf("%w: value %q; want UTF-8 without control characters or outer spaces", ErrInvalid, v)
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return fmt.Sprint(v), nil
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("%w: value of type %T; want a string, a boolean or a number", ErrInvalid, value)
}

// HeaderString returns the value of a header that is a string. ok is false
// when there is none or it has another type.
func HeaderString(h occamy.Headers, key string) (value string, ok bool) {
	value, ok = h[key].(string)
	return value, ok
}

// WithKeys returns a copy of r.Headers with the kind and the ID under their keys;
// an empty ID is left out.
func (r Request) WithKeys(keys occamy.HeaderKeys) occamy.Headers {
	h := make(occamy.Headers, len(r.Headers)+2)
	maps.Copy(h, r.Headers)
	h[keys.Kind] = r.Kind
	delete(h, keys.RequestID)
	if r.ID != "" {
		h[keys.RequestID] = r.ID
	}
	return h
}
