// Package wire is how a master and its assistants write to each other: a Report
// goes to the master, a Grant to one assistant. It knows the form of messages
// and not what becomes of them. Whoever decodes trusts nothing: every length is
// checked against what there is before anything is reserved.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// version is the first byte of each message; one of another version is refused,
// so that servers of two versions leave each other's jobs alone.
const version = 1

// ErrMalformed is wrapped by every error of the decoders.
var ErrMalformed = errors.New("assist: malformed message")

// MaxUnits is how many units or results a message has at most.
const MaxUnits = 1024

// Job tells the jobs that bear one request ID apart.
type Job [8]byte

// Unit is a unit of work, named by its place in the order in which the job
// yields them, from 0.
type Unit struct {
	Index uint64
	Body  []byte
}

// Result is what became of a unit.
type Result struct {
	Index  uint64
	Failed bool
	Body   []byte // the result, or what the failure was
}

// Report is what an assistant tells its master.
type Report struct {
	Job     Job
	From    string // the ID that the assistant bears
	Run     uint64 // tells the assistants apart that bore one ID one after the other
	Seq     uint64 // grows by 1 with each report of a run, from 1
	Epoch   uint64 // of the master that the assistant follows, 0 for none
	Heard   uint64 // Seq of the last grant of that master
	Needed  bool   // it is one of those that the master needs
	Root    bool   // it can grow onto further slots by itself
	Leaving bool   // it computes no more; what it held is free
	Want    uint64
	Held    []uint64 // the units that it has and has not computed yet
	Results []Result // those that no grant has confirmed yet
	Best    []byte   // a better solution; nil for none
}

// State is what an assistant is to do.
type State byte

// The states.
const (
	Work State = iota // compute what it holds, and wait for more
	End               // return: there is nothing left for it
)

// Grant is what a master tells an assistant.
type Grant struct {
	Job   Job
	Run   uint64 // of the assistant that it is for
	Epoch uint64 // tells masters of one job apart; the highest is the newest
	Seq   uint64 // grows by 1 with each grant to this run, from 1
	Heard uint64 // Seq of the last report that has come; its results are safe with the master
	State State
	Room  uint64 // how many more assistants are welcome
	Units []Unit
	Best  []byte // the best solution; nil for none that is new
}

const (
	flagNeeded = 1 << iota
	flagRoot
	flagLeaving
	flagBest
	flagsOfReport = flagNeeded | flagRoot | flagLeaving | flagBest
)

// Encode returns the report as it travels.
func (r *Report) Encode() []byte {
	b := make([]byte, 0, r.size())
	b = append(b, version)
	b = append(b, r.Job[:]...)
	b = appendBytes(b, []byte(r.From))
	for _, n := range []uint64{r.Run, r.Seq, r.Epoch, r.Heard} {
		b = binary.AppendUvarint(b, n)
	}
	flags := flag(flagNeeded, r.Needed) | flag(flagRoot, r.Root) | flag(flagLeaving, r.Leaving) | flag(flagBest, r.Best != nil)
	b = append(b, flags)
	b = binary.AppendUvarint(b, r.Want)
	b = binary.AppendUvarint(b, uint64(len(r.Held)))
	for _, i := range r.Held {
		b = binary.AppendUvarint(b, i)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Results)))
	for _, u := range r.Results {
		b = binary.AppendUvarint(b, u.Index)
		b = append(b, asByte(u.Failed))
		b = appendBytes(b, u.Body)
	}
	if r.Best != nil {
		b = appendBytes(b, r.Best)
	}
	return b
}

// overhead is what a unit or a result takes beyond its body, at most.
const overhead = 2*binary.MaxVarintLen64 + 1

func (r *Report) size() int {
	n := 64 + len(r.From) + len(r.Best) + len(r.Held)*binary.MaxVarintLen64
	for _, u := range r.Results {
		n += overhead + len(u.Body)
	}
	return n
}

// DecodeReport is the inverse of Encode. The bodies are parts of b.
func DecodeReport(b []byte) (Report, error) {
	d := decoder{rest: b}
	var r Report
	d.begin(&r.Job)
	r.From = string(d.bytes())
	r.Run, r.Seq, r.Epoch, r.Heard = d.number(), d.number(), d.number(), d.number()
	flags := d.byte()
	if flags&^flagsOfReport != 0 {
		d.fail("unknown flags")
	}
	r.Needed, r.Root, r.Leaving = flags&flagNeeded != 0, flags&flagRoot != 0, flags&flagLeaving != 0
	r.Want = d.number()
	r.Held = make([]uint64, d.units(1))
	for i := range r.Held {
		r.Held[i] = d.number()
	}
	r.Results = make([]Result, d.units(3))
	for i := range r.Results {
		r.Results[i] = Result{Index: d.number(), Failed: d.bool(), Body: d.bytes()}
	}
	if flags&flagBest != 0 {
		r.Best = d.bytes()
	}
	return r, d.end()
}

// Encode returns the grant as it travels.
func (g *Grant) Encode() []byte {
	n := 64 + len(g.Best)
	for _, u := range g.Units {
		n += overhead + len(u.Body)
	}
	b := make([]byte, 0, n)
	b = append(b, version)
	b = append(b, g.Job[:]...)
	for _, n := range []uint64{g.Run, g.Epoch, g.Seq, g.Heard} {
		b = binary.AppendUvarint(b, n)
	}
	b = append(b, byte(g.State), asByte(g.Best != nil))
	b = binary.AppendUvarint(b, g.Room)
	b = binary.AppendUvarint(b, uint64(len(g.Units)))
	for _, u := range g.Units {
		b = binary.AppendUvarint(b, u.Index)
		b = appendBytes(b, u.Body)
	}
	if g.Best != nil {
		b = appendBytes(b, g.Best)
	}
	return b
}

// DecodeGrant is the inverse of Encode. The bodies are parts of b.
func DecodeGrant(b []byte) (Grant, error) {
	d := decoder{rest: b}
	var g Grant
	d.begin(&g.Job)
	g.Run, g.Epoch, g.Seq, g.Heard = d.number(), d.number(), d.number(), d.number()
	if g.State = State(d.byte()); g.State > End {
		d.fail("unknown state")
	}
	best := d.bool()
	g.Room = d.number()
	g.Units = make([]Unit, d.units(2))
	for i := range g.Units {
		g.Units[i] = Unit{Index: d.number(), Body: d.bytes()}
	}
	if best {
		g.Best = d.bytes()
	}
	return g, d.end()
}

func flag(f byte, set bool) byte {
	if set {
		return f
	}
	return 0
}

func asByte(b bool) byte { return flag(1, b) }

func appendBytes(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decoder reads a message from its front. After the first fault it yields zeros.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	d.rest = nil
}

func (d *decoder) begin(j *Job) {
	if v := d.byte(); d.err == nil && v != version {
		d.fail(fmt.Sprintf("version %d, want %d", v, version))
	}
	if len(d.rest) < len(j) {
		d.fail("too short")
		return
	}
	copy(j[:], d.rest)
	d.rest = d.rest[len(j):]
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail("too short")
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.fail("neither true nor false")
	}
	return b == 1
}

func (d *decoder) number() uint64 {
	n, k := binary.Uvarint(d.rest)
	if k <= 0 {
		d.fail("not a number")
		return 0
	}
	d.rest = d.rest[k:]
	return n
}

// count reads how many there are of what takes at least so many bytes each.
func (d *decoder) count(least int) int {
	n := d.number()
	if n > uint64(len(d.rest)/least) {
		d.fail("more announced than there is")
		return 0
	}
	return int(n)
}

// units reads how many units or results there are.
func (d *decoder) units(least int) int {
	n := d.count(least)
	if n > MaxUnits {
		d.fail("too many units")
		return 0
	}
	return n
}

func (d *decoder) bytes() []byte {
	n := d.count(1)
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	if b == nil {
		b = []byte{}
	}
	return b
}

func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		d.fail("more than a message")
	}
	return d.err
}
