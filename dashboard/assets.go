package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets
var files embed.FS

// asset is a file as it is sent.
type asset struct {
	kind, etag    string
	plain, zipped []byte
}

// assets are the files of the page. Each is compressed when it is first asked for.
type assets struct {
	named map[string]func() *asset
}

func newAssets() *assets {
	entries, err := files.ReadDir("assets")
	if err != nil {
		panic(err) // they are in the binary
	}
	a := &assets{named: make(map[string]func() *asset, len(entries))}
	for _, e := range entries {
		a.named[e.Name()] = sync.OnceValue(func() *asset { return load(e.Name()) })
	}
	return a
}

func load(name string) *asset {
	plain, err := files.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is in the binary
	}
	kind := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) { // as the machine's tables may have it otherwise
	case ".js", ".mjs":
		kind = "text/javascript; charset=utf-8"
	case ".txt":
		kind = "text/plain; charset=utf-8"
	}
	var zipped bytes.Buffer
	z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	_, _ = z.Write(plain) // neither fails: a buffer takes everything
	_ = z.Close()
	sum := sha256.Sum256(plain)
	return &asset{kind: kind, etag: hex.EncodeToString(sum[:12]), plain: plain, zipped: zipped.Bytes()}
}

func (a *assets) page(w http.ResponseWriter, r *http.Request) { a.send(w, r, "index.html") }
func (a *assets) icon(w http.ResponseWriter, r *http.Request) { a.send(w, r, "icon.svg") }
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	a.send(w, r, r.PathValue("name"))
}

func (a *assets) send(w http.ResponseWriter, r *http.Request, name string) {
	get := a.named[name]
	if get == nil {
		refuse(w, http.StatusNotFound, "there is no such file", "the page is at /")
		return
	}
	f := get()
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache") // asked for again each time, sent again when it changed
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.plain, `"`+f.etag+`"`
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, etag = f.zipped, `"`+f.etag+`-gz"`
	}
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body) // who has gone needs none
}
