//go:build unix

package scripts

import (
	"os/exec"
	"strings"
	"testing"
)

const (
	passes = "=== RUN   TestA\n    a_test.go:1: said by A\n--- PASS: TestA (0.00s)\n"
	fails  = "=== RUN   TestB\n=== RUN   TestB/fine\n    b_test.go:2: said by fine\n=== RUN   TestB/part\n    b_test.go:3: said by part\n" +
		"=== RUN   TestB/late\n    b_test.go:4: said by late\n=== NAME  TestB\n    b_test.go:5: said by B\n" +
		"--- FAIL: TestB (0.00s)\n    --- PASS: TestB/fine (0.00s)\n    --- FAIL: TestB/part (0.00s)\n    --- PASS: TestB/late (0.00s)\n"
	panics = "=== RUN   TestD\n    d_test.go:6: said by D\n--- FAIL: TestD (0.00s)\npanic: by D\n\ngoroutine 1 [running]:\nFAIL\tx\t1s\n"
	hangs  = "=== RUN   TestE\n    e_test.go:7: said by E\npanic: test timed out\n\ngoroutine 1 [running]:\nFAIL\tx\t1s\n"
	skips  = "=== RUN   TestC\n    c_test.go:3: no reason\n--- SKIP: TestC (0.00s)\n"
)

func TestNoSkips(t *testing.T) {
	for _, c := range []struct {
		name, reads string
		end         string // of what it prints
		fails       bool
	}{
		{name: "what passes", reads: passes + "PASS\nok  \tx\t1s\n", end: "said by A\nok  \tx\t1s\n"},
		{
			name: "what fails is told once more at the end", reads: passes + fails + passes + "FAIL\nFAIL\tx\t1s\n",
			end: "\n== what failed\n    b_test.go:5: said by B\n--- FAIL: TestB (0.00s)\n" +
				"    b_test.go:3: said by part\n    --- FAIL: TestB/part (0.00s)\n",
		},
		{
			name: "a panic", reads: panics + passes + "ok  \ty\t1s\n",
			end: "\n== what failed\n    d_test.go:6: said by D\n--- FAIL: TestD (0.00s)\npanic: by D\n\ngoroutine 1 [running]:\n",
		},
		{
			name: "a test without an end", reads: hangs + passes + "ok  \ty\t1s\n",
			end: "\n== what failed\n    e_test.go:7: said by E\npanic: test timed out\n\ngoroutine 1 [running]:\n",
		},
		{name: "a skip", reads: passes + skips, end: "FAIL: 1 skipped\n", fails: true},
		{
			name: "a package that cannot be built", reads: "# x\nx.go:1: broken\nFAIL\tx [build failed]\n" + passes,
			end: "\n== what failed\n# x\nx.go:1: broken\nFAIL\tx [build failed]\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "./no-skips")
			cmd.Stdin = strings.NewReader(c.reads)
			out, err := cmd.Output()
			if got := string(out); !strings.HasSuffix(got, c.end) {
				t.Errorf("it prints\n%s\nwant at the end\n%s", got, c.end)
			}
			if (err != nil) != c.fails {
				t.Errorf("it ends with %v, want a failure: %t", err, c.fails)
			}
		})
	}
}
