package routing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/occamy-go/occamy/examples/routing/internal/search"
)

// Bounds of an instance.
const (
	MaxCities     = 100_000
	MaxNode       = 999_999_999 // the largest number of a city
	MaxCoordinate = 1e8         // the largest absolute value of one
	maxName       = 200         // bytes
)

// ErrInstance is wrapped by every error of Parse.
var ErrInstance = errors.New("routing: not a usable TSPLIB instance")

// Instance is a set of cities in the plane between which distances are
// Euclid's, rounded to the nearest integer (TSPLIB's EUC_2D).
type Instance struct {
	Name   string
	nodes  []int32 // the number of each city in the file
	points []search.Point
	byNode map[int32]int32 // the city of each number
}

// Parse reads an instance in the format of TSPLIB: TYPE TSP (or none given),
// EDGE_WEIGHT_TYPE EUC_2D, DIMENSION and NODE_COORD_SECTION; other keywords of
// the header are passed over. data is not kept. An error wraps ErrInstance and
// names the line.
func Parse(data []byte) (*Instance, error) { return parse(context.Background(), data) }

// parse is Parse that gives up when ctx ends, and returns its cause then: a
// large instance takes it some tens of milliseconds.
func parse(ctx context.Context, data []byte) (*Instance, error) {
	p := parser{ctx: ctx, rest: data, in: &Instance{}}
	switch err := p.parse(); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInstance, err)
	}
	return p.in, nil
}

// Cities is the number of cities.
func (in *Instance) Cities() int { return len(in.nodes) }

// Nodes returns the numbers of the cities, in the order of the file.
func (in *Instance) Nodes() []int {
	nodes := make([]int, len(in.nodes))
	for i, n := range in.nodes {
		nodes[i] = int(n)
	}
	return nodes
}

type parser struct {
	ctx       context.Context
	rest      []byte
	line      int
	dimension int
	weights   bool // EDGE_WEIGHT_TYPE was there
	in        *Instance
}

// next returns the next line that is not empty, without surrounding blanks.
func (p *parser) next() (string, bool) {
	for len(p.rest) > 0 {
		line, rest, _ := bytes.Cut(p.rest, []byte{'\n'})
		p.rest = rest
		p.line++
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return string(line), true
		}
	}
	return "", false
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", p.line, fmt.Errorf(format, args...))
}

func (p *parser) parse() error {
	for {
		line, ok := p.next()
		if !ok {
			return errors.New("there is no NODE_COORD_SECTION")
		}
		key, value, colon := strings.Cut(line, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "NODE_COORD_SECTION" {
			break
		}
		if !colon {
			return p.errorf("want KEYWORD: VALUE or NODE_COORD_SECTION, not %s", quote(line))
		}
		if err := p.header(key, value); err != nil {
			return err
		}
	}
	switch {
	case p.dimension == 0:
		return p.errorf("DIMENSION is missing before NODE_COORD_SECTION")
	case !p.weights:
		return p.errorf("EDGE_WEIGHT_TYPE is missing before NODE_COORD_SECTION")
	}
	return p.cities()
}

func (p *parser) header(key, value string) error {
	switch key {
	case "NAME":
		if len(value) > maxName || !utf8.ValidString(value) {
			return p.errorf("NAME is not text of at most %d bytes", maxName)
		}
		p.in.Name = value
	case "TYPE":
		if value != "TSP" {
			return p.errorf("TYPE is %s, only TSP is known", quote(value))
		}
	case "EDGE_WEIGHT_TYPE":
		if value != "EUC_2D" {
			return p.errorf("EDGE_WEIGHT_TYPE is %s, only EUC_2D is known", quote(value))
		}
		p.weights = true
	case "DIMENSION":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > MaxCities {
			return p.errorf("DIMENSION is %s, not a number from 1 to %d", quote(value), MaxCities)
		}
		p.dimension = n
	}
	return nil
}

func (p *parser) cities() error {
	// A line of a city has six bytes at least, so what is reserved is in
	// proportion to what came.
	room := min(p.dimension, len(p.rest)/6+1)
	p.in.nodes = make([]int32, 0, room)
	p.in.points = make([]search.Point, 0, room)
	p.in.byNode = make(map[int32]int32, room)
	for {
		line, ok := p.next()
		if !ok || line == "EOF" {
			break
		}
		if len(p.in.nodes) == p.dimension {
			return p.errorf("more than the %d cities that DIMENSION says", p.dimension)
		}
		if err := p.city(line); err != nil {
			return err
		}
		if p.line%256 == 0 && p.ctx.Err() != nil {
			return p.ctx.Err()
		}
	}
	if n := len(p.in.nodes); n < p.dimension {
		return p.errorf("%d cities, but DIMENSION says %d", n, p.dimension)
	}
	return nil
}

func (p *parser) city(line string) error {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return p.errorf("want a city as NUMBER X Y, not %s", quote(line))
	}
	node, err := strconv.Atoi(fields[0])
	if err != nil || node < 0 || node > MaxNode {
		return p.errorf("city %s is not a number from 0 to %d", quote(fields[0]), MaxNode)
	}
	var at [2]float64
	for i, f := range fields[1:] {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || math.IsNaN(v) || math.Abs(v) > MaxCoordinate {
			return p.errorf("coordinate %s is not a number between -%g and %[2]g", quote(f), MaxCoordinate)
		}
		at[i] = v
	}
	if _, ok := p.in.byNode[int32(node)]; ok {
		return p.errorf("city %d is there twice", node)
	}
	p.in.byNode[int32(node)] = int32(len(p.in.nodes))
	p.in.nodes = append(p.in.nodes, int32(node))
	p.in.points = append(p.in.points, search.Point{X: at[0], Y: at[1]})
	return nil
}

// quote shows what a file has, however long it is.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
