package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// hostile is what a message may bring to take a terminal over.
const hostile = "a\x1b[31mb\u0085\u202ec\x7f"

// hostileSafe is hostile as people see it.
const hostileSafe = `a\x1b[31mb\u0085\u202ec\x7f`

var routeServer = occamy.Snapshot{Server: "s1", Kinds: []string{"route"}, Slots: []occamy.SlotInfo{
	{Slot: 0, Status: occamy.Protected, Phase: occamy.Running, ID: hostile, Kind: "route"},
	{Slot: 1, Status: occamy.Internal, Phase: occamy.Stopping},
	{Slot: 2, Status: occamy.External, Phase: occamy.Stuck},
	{Slot: 3, Status: occamy.Empty},
}}

func completed(result string) []broker.Event {
	return []broker.Event{{Outcome: &occamy.Outcome{ID: "r", Status: occamy.Completed, Result: []byte(result)}}}
}

func TestSubmitSendsWhatItsFlagsSay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}}
	code, stdout, stderr := run{broker: b}.do(t, "submit", "route", "--file", file, "--id", "r", "--priority", "3",
		"--header", "time-limit=5s", "-H", "note=a=b", "--timeout", "1m", "--deadline", "10m")
	if code != exitOK || stdout != "r\n" || stderr != "" || len(b.submitted) != 1 {
		t.Fatalf("exit status %d, %d requests", code, len(b.submitted))
	}
	got := b.submitted[0]
	until, err := time.Parse(time.RFC3339Nano, got.Headers["Occamy-Deadline"].(string))
	if left := time.Until(until); err != nil || left < 9*time.Minute || left > 10*time.Minute {
		t.Errorf("deadline in %v, %v", left, err)
	}
	delete(got.Headers, "Occamy-Deadline")
	want := occamy.Headers{"time-limit": "5s", "note": "a=b", "Occamy-Timeout": "1m0s", "Occamy-Priority": "3", "Occamy-Outcome": "true"}
	if got.Kind != "route" || got.ID != "r" || string(got.Body) != "from a file" || !maps.Equal(got.Headers, want) {
		t.Errorf("submitted %+v", got)
	}
}

func TestSubmitReadsStandardInput(t *testing.T) {
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}}
	var v outcomeView
	decode(t, run{broker: b, stdin: "from a pipe"}, &v, "submit", "route", "--file", "-", "--json")
	if v.ID == "" || v.ID != b.submitted[0].ID || v.Status != "submitted" || string(b.submitted[0].Body) != "from a pipe" {
		t.Errorf("printed %+v, submitted %+v", v, b.submitted)
	}
}

func TestSubmitRefusesAKindThatNoServerKnows(t *testing.T) {
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}}
	code, stdout, stderr := run{broker: b}.do(t, "submit", "brew")
	if code != exitFailed || stdout != "" || len(b.submitted) != 0 || !strings.Contains(stderr, `unknown kind "brew"`) || !strings.Contains(stderr, "known: route") {
		t.Errorf("exit status %d, %d requests", code, len(b.submitted))
	}
	if err := oneLineWithHint(stderr); err != nil {
		t.Errorf("the error message: %v", err)
	}
	if code, _, _ := (run{broker: b}).do(t, "submit", "brew", "--no-check"); code != exitOK || len(b.submitted) != 1 {
		t.Errorf("with --no-check: exit status %d, %d requests", code, len(b.submitted))
	}
}

func TestSubmitToAFleetThatIsDownWarns(t *testing.T) {
	b := &fakeBroker{}
	code, _, stderr := run{broker: b}.do(t, "submit", "brew")
	if code != exitOK || len(b.submitted) != 1 || !strings.Contains(stderr, "waits in the queue") {
		t.Errorf("exit status %d, %d requests", code, len(b.submitted))
	}
	code, _, stderr = run{broker: b}.do(t, "submit", "brew", "--optional")
	if code != exitOK || len(b.optional) != 1 || len(b.submitted) != 1 || !strings.Contains(stderr, "nobody may get") {
		t.Errorf("optional: exit status %d, %d optional requests", code, len(b.optional))
	}
}

func TestSubmitAndWaitPrintsTheResult(t *testing.T) {
	for _, tc := range []struct {
		name, result, plain, json string
	}{
		{"JSON", `{"length": 7542}`, `{"length": 7542}`, `{"id":"r","status":"completed","result":{"length":7542}}`},
		{"text", "seven\n", "seven\n", `{"id":"r","status":"completed","result":"seven\n"}`},
		{"binary", "\xff\x00", "\xff\x00", `{"id":"r","status":"completed","result_base64":"/wA="}`},
		{"nothing", "", "", `{"id":"r","status":"completed"}`},
		{"control characters", `"` + "\u0085\U000e0001" + `"`, `"` + "\u0085\U000e0001" + `"`, `{"id":"r","status":"completed","result":"\u0085\udb40\udc01"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, events: completed(tc.result)}
			code, stdout, _ := run{broker: b}.do(t, "submit", "route", "--id", "r", "--wait")
			if code != exitOK || stdout != tc.plain {
				t.Errorf("exit status %d, printed %q, want %q", code, stdout, tc.plain)
			}
			code, stdout, stderr := run{broker: b}.do(t, "submit", "route", "--id", "r", "--wait", "--json")
			if code != exitOK || stdout != tc.json+"\n" || stderr != "" {
				t.Errorf("exit status %d, printed %q, want %q", code, stdout, tc.json)
			}
		})
	}
}

func TestSubmitAndWaitFailsWithTheReason(t *testing.T) {
	for _, tc := range []struct {
		outcome occamy.Outcome
		says    string
		json    string
	}{
		{occamy.Outcome{ID: "r", Status: occamy.Rejected, Reason: "Do panicked: " + hostile + "\ngoroutine 7 [running]:\nmain.go:3"},
			`request "r" was rejected: Do panicked: ` + hostileSafe, `{"id":"r","status":"rejected","reason":"Do panicked: `},
		{occamy.Outcome{ID: "r", Status: occamy.Cancelled},
			`request "r" was cancelled`, `{"id":"r","status":"cancelled"}`},
	} {
		b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, events: []broker.Event{{Outcome: &tc.outcome}}}
		code, stdout, stderr := run{broker: b}.do(t, "submit", "route", "--id", "r", "--wait")
		lines := strings.SplitAfter(stderr, "\n")
		if code != exitFailed || stdout != "" || !strings.Contains(lines[1], tc.says) || len(lines) != 3 {
			t.Errorf("exit status %d, want 1 and one line that says %q", code, tc.says)
		}
		code, stdout, stderr = run{broker: b}.do(t, "submit", "route", "--id", "r", "--wait", "--json")
		if code != exitFailed || !strings.HasPrefix(stdout, tc.json) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit status %d, want 1 and %s", code, tc.json)
		}
	}
}

func TestSubmitAndWaitRefusesAnIDThatHasEnded(t *testing.T) {
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, outcomes: map[string]occamy.Outcome{"r": {ID: "r", Status: occamy.Completed}}}
	code, _, stderr := run{broker: b}.do(t, "submit", "route", "--id", "r", "--wait", "--json")
	if code != exitFailed || len(b.submitted) != 0 || !strings.Contains(stderr, "occamy result r") {
		t.Errorf("exit status %d, %d requests", code, len(b.submitted))
	}
}

func TestAnInterruptEndsTheWaitAndNotTheRequest(t *testing.T) {
	signals := make(chan os.Signal, 1)
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, onSubmit: func() { signals <- os.Interrupt }}
	code, stdout, stderr := run{broker: b, signals: signals}.do(t, "submit", "route", "--id", "r", "--wait", "--json")
	if code != exitFailed || stdout != "" || len(b.commands) != 0 || !strings.Contains(stderr, `the request "r" goes on`) {
		t.Errorf("exit status %d, commands %v", code, b.commands)
	}
}

func TestProgressIsShownOnStandardError(t *testing.T) {
	events := append([]broker.Event{{Progress: []byte(`{"fraction":0.42,"length":7544,"tour":[1,2]}`)}}, completed("done")...)
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, events: events}
	_, stdout, stderr := run{broker: b}.do(t, "submit", "route", "--wait")
	if stdout != "done" || !strings.Contains(stderr, "progress:  42 % length=7544\n") {
		t.Errorf("printed %q and %q", stdout, stderr)
	}
	if _, _, stderr := (run{broker: b}).do(t, "submit", "route", "--wait", "--json"); stderr != "" {
		t.Errorf("with --json it shows progress: %q", stderr)
	}
}

func TestTheBarOfATerminal(t *testing.T) {
	out := newOutput()
	v := &progressView{w: out, terminal: true, columns: func() int { return 100 }, start: time.Now(), stop: func() {}}
	v.show([]byte(`{"fraction":0.5,"note":"` + strings.Repeat("x", 99) + `"}`))
	v.show([]byte(hostile))
	v.end()
	frames := strings.Split(out.String(), "\r\x1b[K")
	if want := "     0s [###############---------------]  50 % note="; len(frames) != 4 || !strings.HasPrefix(frames[1], want) {
		t.Errorf("frames %q", frames)
	}
	if n := len([]rune(frames[1])); n != 99 {
		t.Errorf("the line has %d characters; it would not fit 100 columns", n)
	}
	if frames[2] != "     0s "+hostileSafe || frames[3] != "" {
		t.Errorf("frames %q", frames)
	}
}

func TestResult(t *testing.T) {
	b := &fakeBroker{outcomes: map[string]occamy.Outcome{
		"good": {ID: "good", Status: occamy.Completed, Result: []byte(`{"a":1}`)},
		"bad":  {ID: "bad", Status: occamy.Rejected, Reason: "no"},
	}}
	if code, stdout, _ := (run{broker: b}).do(t, "result", "good"); code != exitOK || stdout != `{"a":1}` {
		t.Errorf("exit status %d, %q", code, stdout)
	}
	if code, stdout, _ := (run{broker: b}).do(t, "result", "bad", "--json"); code != exitFailed || stdout != `{"id":"bad","status":"rejected","reason":"no"}`+"\n" {
		t.Errorf("exit status %d, %q", code, stdout)
	}
	code, stdout, stderr := run{broker: b}.do(t, "result", hostile)
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, hostileSafe) {
		t.Errorf("exit status %d", code)
	}
	if err := oneLineWithHint(stderr); err != nil {
		t.Errorf("the error message: %v", err)
	}
}

func TestControl(t *testing.T) {
	b := &fakeBroker{}
	var v sent
	decode(t, run{broker: b, stdin: "body"}, &v, "control", "t", "-f", "-", "-H", "k=v", "--json")
	if v != (sent{"t", "delivered"}) || len(b.messages) != 1 || b.messages[0].id != "t" || b.messages[0].body != "body" || b.messages[0].headers["k"] != "v" {
		t.Errorf("printed %+v, sent %+v", v, b.messages)
	}
}

func TestCommands(t *testing.T) {
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}}
	for _, tc := range []struct {
		verb, target string
		want         occamy.Headers
	}{
		{"cancel", "t", occamy.Headers{"Occamy-Command": "cancel", "Occamy-Task-Id": "t"}},
		{"drain", "s1", occamy.Headers{"Occamy-Command": "drain", "Occamy-Server": "s1"}},
		{"resume", "s1", occamy.Headers{"Occamy-Command": "resume", "Occamy-Server": "s1"}},
	} {
		b.commands = nil
		code, stdout, _ := run{broker: b}.do(t, tc.verb, tc.target)
		if code != exitOK || !strings.Contains(stdout, tc.verb) || len(b.commands) != 1 || !maps.Equal(b.commands[0], tc.want) {
			t.Errorf("%s: exit status %d, sent %v", tc.verb, code, b.commands)
		}
		var v sent
		decode(t, run{broker: b}, &v, tc.verb, tc.target, "--json")
		if v != (sent{tc.target, "sent"}) {
			t.Errorf("%s: printed %+v", tc.verb, v)
		}
	}
	if code, _, stderr := (run{broker: &fakeBroker{}}).do(t, "cancel", "t"); code != exitFailed || !strings.Contains(stderr, "nobody may have heard") {
		t.Errorf("cancel without a server: exit status %d", code)
	}
	code, _, stderr := run{broker: b}.do(t, "drain", "s2")
	if code != exitFailed || !strings.Contains(stderr, `no server "s2" answers`) || !strings.Contains(stderr, "s1") {
		t.Errorf("drain of a server that is not there: exit status %d", code)
	}
}

func TestDeadLetters(t *testing.T) {
	b := &fakeBroker{letters: []broker.DeadLetter{
		{Key: "1", ID: "x", Kind: "route", Reason: "old"},
		{Key: "2", ID: "x", Kind: "route", Reason: "Do panicked: " + hostile + "\nline 2", Attempts: 1, Headers: occamy.Headers{"h": hostile}, Body: []byte("body\xff")},
	}}
	_, stdout, _ := run{broker: b}.do(t, "dead", "list")
	if strings.Count(stdout, "\n") != 3 || !strings.Contains(stdout, hostileSafe) || strings.Contains(stdout, "line 2") {
		t.Error("dead list does not show one safe line for each letter")
	}
	var list struct{ Dead []broker.DeadLetter }
	decode(t, run{broker: b}, &list, "dead", "list", "--limit", "1", "--json")
	if len(list.Dead) != 1 || list.Dead[0].Reason != "old" {
		t.Errorf("printed %+v", list)
	}
	_, stdout, _ = run{broker: b}.do(t, "dead", "show", "x")
	if !strings.Contains(stdout, "reason:\nDo panicked: "+hostileSafe+"\nline 2\n") || !strings.Contains(stdout, "h="+hostileSafe) || !strings.Contains(stdout, "5 bytes, binary") {
		t.Error("dead show does not show all of the newest letter, safely")
	}
	var letter broker.DeadLetter
	decode(t, run{broker: b}, &letter, "dead", "show", "1", "--json")
	if letter.Reason != "old" {
		t.Errorf("printed %+v", letter)
	}
	if _, stdout, _ := (run{broker: b}).do(t, "dead", "show", "x", "--body"); stdout != "body\xff" {
		t.Errorf("body %q", stdout)
	}
	if code, _, _ := (run{broker: b}).do(t, "dead", "retry", "x"); code != exitOK || len(b.retried) != 1 {
		t.Errorf("exit status %d, retried %v", code, b.retried)
	}
	for _, verb := range []string{"show", "retry"} {
		code, _, stderr := run{broker: b}.do(t, "dead", verb, "nothing")
		if err := oneLineWithHint(stderr); code != exitFailed || err != nil || !strings.Contains(stderr, `no dead letter "nothing"`) {
			t.Errorf("dead %s of nothing: exit status %d, %v", verb, code, err)
		}
	}
	if _, stdout, _ := (run{broker: &fakeBroker{}}).do(t, "dead", "list", "--json"); stdout != `{"dead":[]}`+"\n" {
		t.Errorf("without letters: %q", stdout)
	}
}

// Each column and each sign of status is explained in its help.
func TestStatusIsExplained(t *testing.T) {
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, queues: []broker.Queue{{Kind: "route"}}}
	_, status, _ := run{broker: b}.do(t, "status")
	_, help, _ := run{}.do(t, "status", "--help")
	for line := range strings.Lines(status) {
		if name, _, _ := strings.Cut(line, " "); name != "SERVER" && name != "QUEUE" {
			continue
		}
		for _, column := range strings.Fields(line)[1:] {
			if !strings.Contains(help, "\n  "+column+" ") {
				t.Errorf("the help does not explain %s", column)
			}
		}
	}
	for _, sign := range []string{". empty", "P protected", "i internal", "e external", "s stopping", "! stuck"} {
		if !strings.Contains(status, sign) {
			t.Errorf("the legend does not have %q", sign)
		}
	}
}

func TestStatus(t *testing.T) {
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, queues: []broker.Queue{{Kind: "route", Ready: 7, Unacked: 1, Dead: 2}}}
	_, stdout, _ := run{broker: b}.do(t, "status", "--tasks")
	for _, want := range []string{"broker fake\n", "s1", "Ps!.", "3/4", hostileSafe, "s1/0", "route  7      1        2"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("status does not show %q", want)
		}
	}
	var v fleet
	decode(t, run{broker: b}, &v, "status", "--json")
	if v.Broker != "fake" || len(v.Servers) != 1 || len(v.Servers[0].Slots) != 4 || len(v.Queues) != 1 || v.Queues[0].Ready != 7 {
		t.Errorf("printed %+v", v)
	}
	if _, stdout, _ := (run{broker: &fakeBroker{}}).do(t, "status"); !strings.Contains(stdout, "no server answers") || !strings.Contains(stdout, "no queue") {
		t.Error("an empty fleet is not told")
	}
	if _, stdout, _ := (run{broker: &fakeBroker{}}).do(t, "status", "--json"); stdout != `{"broker":"fake","servers":[],"queues":[]}`+"\n" {
		t.Errorf("an empty fleet: %q", stdout)
	}
}
