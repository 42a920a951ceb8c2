package slots

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Scenarios are files in testdata: a line at the margin is an op of a script
// (see script_test.go) or a comment, and the indented lines under it are what
// the table is to do. After a change of the rules, look at what
//
//	go test ./internal/slots -run TestR -rewrite
//
// changes, and hold each line against the rule in the file's name.
var rewrite = flag.Bool("rewrite", false, "write what the table does into the scenarios")

// A file r07_*.txt is played by the test of rule 7.

func TestR01_RequestStartsAtOnceOrPreempts(t *testing.T)           { playRule(t, 1) }
func TestR02_AnyEmptySlotServesTheHeadOfTheFIFO(t *testing.T)      { playRule(t, 2) }
func TestR03_StuckTaskKeepsItsSlotAndDelaysNobody(t *testing.T)    { playRule(t, 3) }
func TestR04_ProtectedTaskIsStoppedByFourCausesAlone(t *testing.T) { playRule(t, 4) }
func TestR05_CapacityAndWhatIsHeldBeyondIt(t *testing.T)           { playRule(t, 5) }
func TestR06_PlacesGoInTheOrderOfConversion(t *testing.T)          { playRule(t, 6) }
func TestR07_SettledOnceByWhatHappened(t *testing.T)               { playRule(t, 7) }
func TestR08_LostDeliveryIsNeverSettled(t *testing.T)              { playRule(t, 8) }
func TestR09_TasksAreFoundByID(t *testing.T)                       { playRule(t, 9) }
func TestR11_Backlog(t *testing.T)                                 { playRule(t, 11) }
func TestR12_CancelDrainResume(t *testing.T)                       { playRule(t, 12) }
func TestR13_WhenExpansionRuns(t *testing.T)                       { playRule(t, 13) }
func TestR14_OrderAndMoves(t *testing.T)                           { playRule(t, 14) }
func TestR15_SparesAreSharedFairly(t *testing.T)                   { playRule(t, 15) }
func TestR16_OffersThatAreDropped(t *testing.T)                    { playRule(t, 16) }
func TestR17_IdleTableArmsNoTimer(t *testing.T)                    { playRule(t, 17) }
func TestR18_Shutdown(t *testing.T)                                { playRule(t, 18) }

func playRule(t *testing.T, rule int) {
	files, err := filepath.Glob(fmt.Sprintf("testdata/r%02d_*.txt", rule))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario for rule %d: %v", rule, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := playScenario(string(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := firstDifference(string(text), got); diff != "" {
				t.Errorf("%s: %s", file, diff)
			}
		})
	}
}

// playScenario returns the scenario with what the table did.
func playScenario(text string) (string, error) {
	var out []string
	var p *pair
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		out = append(out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		o, err := parseOp(line)
		if err != nil {
			return "", fmt.Errorf("line %d: %w", i+1, err)
		}
		if o.verb == "table" {
			p = newPair(o.cfg)
			p.verbose = true
			continue
		}
		lines, err := p.play(o)
		if err != nil {
			return "", fmt.Errorf("line %d: %s: %w", i+1, line, err)
		}
		for _, l := range lines {
			out = append(out, "\t"+l)
		}
	}
	return strings.Join(out, "\n") + "\n", nil
}

// firstDifference says where two texts differ, "" when they do not.
func firstDifference(want, got string) string {
	if want == got {
		return ""
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			from := max(0, i-6)
			return fmt.Sprintf("line %d\n--- expected\n%s\n--- got\n%s", i+1,
				strings.Join(w[from:min(len(w), i+4)], "\n"), strings.Join(g[from:min(len(g), i+4)], "\n"))
		}
	}
	return ""
}

// TestScripts holds that a script says the same after it is written and read.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/r*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == "" || line[0] == '#' || line[0] == '\t' {
				continue
			}
			o, err := parseOp(line)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			again, err := parseOp(o.String())
			if err != nil || fmt.Sprint(again) != fmt.Sprint(o) || !slices.Equal(again.offers, o.offers) {
				t.Errorf("%s: %q is written as %q: %v", file, line, o, err)
			}
		}
	}
}
