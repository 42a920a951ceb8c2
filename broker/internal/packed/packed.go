// Package packed is JSON that is compressed where it is long, for what servers
// answer. Whoever reads it trusts neither its size nor its shape.
package packed

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

const (
	plain = 16 << 10  // what is longer is compressed
	most  = 256 << 20 // bounds what a few bytes can unpack to
)

// Marshal returns v as JSON.
func Marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil || len(text) <= plain {
		return text, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Unmarshal is the inverse of Marshal; it also reads JSON of any length that is
// not compressed.
func Unmarshal(b []byte, v any) error {
	if len(b) < 2 || b[0] != 0x1f || b[1] != 0x8b {
		return json.Unmarshal(b, v)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return err
	}
	if len(text) > most {
		return fmt.Errorf("more than %d bytes when unpacked", most)
	}
	return json.Unmarshal(text, v)
}
