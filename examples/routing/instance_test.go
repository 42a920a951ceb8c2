package routing

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
)

const triangle = `NAME: triangle
TYPE: TSP
COMMENT: a remark: with a colon
DIMENSION: 3
EDGE_WEIGHT_TYPE: EUC_2D
NODE_COORD_SECTION
10 0 0
20 3 0
30 0 4e0
EOF
`

func mustParse(t testing.TB, file string) *Instance {
	t.Helper()
	in, err := Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func mustFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := File(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	for name, file := range map[string]string{
		"as it is":         triangle,
		"blanks":           strings.ReplaceAll(triangle, ":", " : "),
		"line ends of DOS": strings.ReplaceAll(triangle, "\n", "\r\n"),
		"no EOF":           strings.TrimSuffix(triangle, "EOF\n"),
		"empty lines":      strings.ReplaceAll(triangle, "\n", "\n\n"),
		"text after EOF":   triangle + "whatever",
		"no type":          strings.ReplaceAll(triangle, "TYPE: TSP\n", ""),
		"unknown keyword":  "BEST_KNOWN : 12\n" + triangle,
		"tabs and signs":   strings.ReplaceAll(triangle, "10 0 0", " 10\t0.0  -0 "),
	} {
		t.Run(name, func(t *testing.T) {
			in := mustParse(t, file)
			if in.Name != "triangle" || in.Cities() != 3 || !slices.Equal(in.Nodes(), []int{10, 20, 30}) {
				t.Errorf("got %q with %d cities %v", in.Name, in.Cities(), in.Nodes())
			}
			if length, err := in.Check([]int{20, 10, 30}); length != 12 || err != nil {
				t.Errorf("length %d, %v; want 12", length, err)
			}
		})
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(triangle, old, new, 1) }
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "no NODE_COORD_SECTION"},
		{"only blanks", " \n\t\n", "no NODE_COORD_SECTION"},
		{"no section", "NAME: x\n", "no NODE_COORD_SECTION"},
		{"other text", "hello\n", `line 1: want KEYWORD: VALUE or NODE_COORD_SECTION, not "hello"`},
		{"binary", "\x00\xff", "line 1"},
		{"other type", change("TYPE: TSP", "TYPE: ATSP"), `line 2: TYPE is "ATSP"`},
		{"other distances", change("EUC_2D", "GEO"), `line 5: EDGE_WEIGHT_TYPE is "GEO"`},
		{"no distances", change("EDGE_WEIGHT_TYPE: EUC_2D\n", ""), "EDGE_WEIGHT_TYPE is missing"},
		{"no dimension", change("DIMENSION: 3\n", ""), "DIMENSION is missing"},
		{"dimension no number", change("DIMENSION: 3", "DIMENSION: three"), `DIMENSION is "three"`},
		{"dimension 0", change("DIMENSION: 3", "DIMENSION: 0"), `DIMENSION is "0"`},
		{"dimension below 0", change("DIMENSION: 3", "DIMENSION: -3"), `DIMENSION is "-3"`},
		{"dimension too large", change("DIMENSION: 3", "DIMENSION: 100001"), "not a number from 1 to 100000"},
		{"dimension far too large", change("DIMENSION: 3", "DIMENSION: 99999999999999999999"), "DIMENSION is"},
		{"too few", change("30 0 4e0\n", ""), "2 cities, but DIMENSION says 3"},
		{"too many", change("EOF", "40 1 1"), "line 10: more than the 3 cities"},
		{"twice", change("20 3 0", "10 3 0"), "line 8: city 10 is there twice"},
		{"two fields", change("20 3 0", "20 3"), `line 8: want a city as NUMBER X Y, not "20 3"`},
		{"four fields", change("20 3 0", "20 3 0 0"), "want a city as NUMBER X Y"},
		{"city no number", change("20 3 0", "b 3 0"), `line 8: city "b"`},
		{"city below 0", change("20 3 0", "-1 3 0"), `city "-1"`},
		{"city too large", change("20 3 0", "1000000000 3 0"), `city "1000000000"`},
		{"coordinate no number", change("20 3 0", "20 3 x"), `line 8: coordinate "x"`},
		{"coordinate NaN", change("20 3 0", "20 NaN 0"), `coordinate "NaN"`},
		{"coordinate infinite", change("20 3 0", "20 3 -Inf"), `coordinate "-Inf"`},
		{"coordinate overflows", change("20 3 0", "20 1e999 0"), `coordinate "1e999"`},
		{"coordinate too large", change("20 3 0", "20 3 -100000001"), "between -1e+08 and 1e+08"},
		{"name too long", change("triangle", strings.Repeat("x", 201)), "NAME"},
		{"name not text", change("triangle", "\xff"), "NAME"},
		{"long line is cut", change("20 3 0", strings.Repeat("x", 1000)), strings.Repeat("x", 40) + `"…`},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, err := Parse([]byte(c.file))
			if !errors.Is(err, ErrInstance) || in != nil {
				t.Fatalf("got %v, %v; want an error that wraps ErrInstance", in, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want something with %q", err, c.want)
			}
			if len(err.Error()) > 250 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(triangle))
	f.Add([]byte(strings.ReplaceAll(triangle, "10 0 0", "10 NaN -1e300")))
	f.Add([]byte("DIMENSION:100000\nEDGE_WEIGHT_TYPE:EUC_2D\nNODE_COORD_SECTION\n"))
	f.Add(mustFile(f, "eil51"))
	f.Fuzz(func(t *testing.T, file []byte) {
		in, err := Parse(file)
		if err != nil {
			if !errors.Is(err, ErrInstance) {
				t.Errorf("%v does not wrap ErrInstance", err)
			}
			return
		}
		nodes := in.Nodes()
		if len(nodes) != in.Cities() || in.Cities() < 1 || in.Cities() > MaxCities {
			t.Fatalf("%d cities, %d numbers", in.Cities(), len(nodes))
		}
		length, err := in.Check(nodes)
		if err != nil || length < 0 {
			t.Errorf("the order of the file: length %d, %v", length, err)
		}
	})
}

func TestTheCarriedInstances(t *testing.T) {
	if got, want := Names(), slices.Sorted(maps.Keys(bestKnown)); !slices.Equal(got, want) {
		t.Fatalf("files %v, best lengths for %v", got, want)
	}
	for _, name := range Names() {
		in := mustParse(t, string(mustFile(t, name)))
		if in.Name != name || !strings.HasSuffix(name, fmt.Sprint(in.Cities())) {
			t.Errorf("%s: name %q, %d cities", name, in.Name, in.Cities())
		}
	}
	if _, ok := BestKnown("nowhere"); ok {
		t.Error("there is a best length for an unknown name")
	}
	for _, name := range []string{"nowhere", "", "../doc"} {
		if _, err := File(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("File(%q): %v", name, err)
		}
	}
}

func TestCheckRefusesWhatIsNoRoundTrip(t *testing.T) {
	in := mustParse(t, triangle)
	for name, tour := range map[string][]int{
		"empty": nil, "too short": {10, 20}, "too long": {10, 20, 30, 10}, "twice": {10, 20, 20},
		"unknown": {10, 20, 40}, "below 0": {10, 20, -1}, "too large": {10, 20, 1 << 40},
		"a city once it is cut to 32 bits": {10, 20, 30 + 1<<32},
	} {
		if _, err := in.Check(tour); !errors.Is(err, ErrTour) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneRoundTripIsWrittenInOneWay(t *testing.T) {
	in := mustParse(t, strings.NewReplacer("3\nEDGE", "4\nEDGE", "EOF", "5 1 1").Replace(triangle))
	want := []int{10, 20, 5, 30}
	for _, order := range []tour{{0, 1, 3, 2}, {3, 2, 0, 1}, {2, 3, 1, 0}, {1, 0, 2, 3}} {
		if got := in.numbers(order); !slices.Equal(got, want) {
			t.Errorf("%v is written %v, want %v", order, got, want)
		}
	}
	for n := 1; n <= 2; n++ {
		order := tour{1, 0}[2-n:]
		if got := mustParse(t, cloud(n)).numbers(order); !slices.Equal(got, []int{1, 2}[:n]) {
			t.Errorf("%d cities are written %v", n, got)
		}
	}
}

// cloud is an instance of n cities in a square, in no order.
func cloud(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "NAME: cloud%d\nDIMENSION: %d\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n", n, n)
	x, y := 1, 1
	for i := range n {
		x, y = x*48271%(1<<31-1), y*16807%(1<<31-1)
		fmt.Fprintf(&b, "%d %d %d\n", i+1, x%1_000_000, y%1_000_000)
	}
	return b.String()
}
