package occamy

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// headerReader reads headers that come from outside. It keeps the first error,
// and stops looking once it has seen as many headers as there are.
type headerReader struct {
	headers Headers
	left    int
	err     error
}

func (r *headerReader) get(key string) (v any, ok bool) {
	if r.left == 0 {
		return nil, false
	}
	if v, ok = r.headers[key]; ok {
		r.left--
	}
	return v, ok
}

func (r *headerReader) bad(key string, v any, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s is %#.100v: want %s", ErrInvalidHeader, key, v, want)
	}
}

// text returns "" only for a header that is not there, or bad.
func (r *headerReader) text(key string) string {
	v, ok := r.get(key)
	if !ok {
		return ""
	}
	s, _ := v.(string)
	if s == "" {
		r.bad(key, v, "a string that is not empty")
	}
	return s
}

func (r *headerReader) boolean(key string) bool {
	v, ok := r.get(key)
	if !ok {
		return false
	}
	switch v := v.(type) {
	case bool:
		return v
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b
		}
	}
	r.bad(key, v, "true or false")
	return false
}

func (r *headerReader) integer(key string) int {
	v, ok := r.get(key)
	if !ok {
		return 0
	}
	switch v := v.(type) {
	case int:
		return v
	case int8:
		return int(v)
	case int16:
		return int(v)
	case int32:
		return int(v)
	case int64:
		if v >= math.MinInt && v <= math.MaxInt {
			return int(v)
		}
	case uint8:
		return int(v)
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
	}
	r.bad(key, v, "an integer")
	return 0
}

func (r *headerReader) duration(key string) time.Duration {
	v, ok := r.get(key)
	if !ok {
		return 0
	}
	if s, ok := v.(string); ok {
		if d, err := time.ParseDuration(s); err == nil && d > 0 {
			return d
		}
	}
	r.bad(key, v, `a duration above zero, such as "90s"`)
	return 0
}

func (r *headerReader) time(key string) time.Time {
	v, ok := r.get(key)
	if !ok {
		return time.Time{}
	}
	switch v := v.(type) {
	case time.Time:
		return v
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return t
		}
	}
	r.bad(key, v, "a time in RFC 3339")
	return time.Time{}
}

func cmpOr[T comparable](v, preset T) T {
	var zero T
	if v == zero {
		return preset
	}
	return v
}
