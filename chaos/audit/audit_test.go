package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy/chaos/record"
)

// forgery is a set of logs that no run has written, by log and in milliseconds
// since the beginning.
type forgery struct {
	logs  map[string][]record.Event
	tails map[string]string // raw bytes behind the last line
}

var beginning = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return beginning.Add(time.Duration(ms) * time.Millisecond) }

func (f *forgery) add(log string, ms int, e record.Event) *record.Event {
	e.Time = at(ms)
	f.logs[log] = append(f.logs[log], e)
	return &f.logs[log][len(f.logs[log])-1]
}

// drop removes the events for which gone is true.
func (f *forgery) drop(gone func(record.Event) bool) {
	for log, events := range f.logs {
		var kept []record.Event
		for _, e := range events {
			if !gone(e) {
				kept = append(kept, e)
			}
		}
		f.logs[log] = kept
	}
}

// change changes each event of an ID and a kind, but not what the sweep found.
func (f *forgery) change(id string, what record.What, how func(e *record.Event)) {
	for _, events := range f.logs {
		for i := range events {
			if events[i].ID == id && events[i].What == what && events[i].Op != "sweep" {
				how(&events[i])
			}
		}
	}
}

// outcomes changes all outcomes of an ID.
func (f *forgery) outcomes(id string, how func(e *record.Event)) {
	for i := range f.logs["client"] {
		if e := &f.logs["client"][i]; is(id, record.Outcome)(*e) {
			how(e)
		}
	}
}

func is(id string, what record.What) func(record.Event) bool {
	return func(e record.Event) bool { return e.ID == id && e.What == what }
}

func input(id string) record.Input { return record.Input{Seed: id, Chunks: 2, Rounds: 3, Wait: 5} }

// request is a request that all goes well for, on one server.
func (f *forgery) request(id string, ms int, server string, pid int) {
	in := input(id)
	f.add("orchestrator", ms, record.Event{What: record.Sent, ID: id, Input: &in, Result: compute(in)})
	f.add("orchestrator", ms+1, record.Event{What: record.Confirmed, ID: id})
	f.runs(id, ms+2, server, pid, 1)
	told := record.Event{What: record.Outcome, ID: id, Op: "wait", Status: "completed", Result: compute(in), Attempt: 1}
	f.add("client", ms+22, told)
	told.Op = "sweep"
	f.add("client", 9100, told)
}

// runs is one run of a request, of 18 ms and an ack.
func (f *forgery) runs(id string, ms int, server string, pid, attempt int) {
	began := at(ms + 18)
	for ms, e := range map[int]record.Event{
		ms:      {What: record.DoStart},
		ms + 18: {What: record.DoEnd},
		ms + 19: {What: record.Settled, Op: record.Ack, Began: &began},
	} {
		e.ID, e.Server, e.PID, e.Attempt = id, server, pid, attempt
		f.add(server, ms, e)
	}
}

// busy has one more request run on a server from 2 ms before a moment on.
func (f *forgery) busy(server string, pid, ms int) {
	f.request("busy", ms-4, server, pid)
	f.change("", record.Run, func(e *record.Event) { e.Requests++ })
}

// fault is one from begin to end that hits servers, or "client".
func (f *forgery) fault(number int, name string, begin, end int, hit ...string) {
	e := record.Event{Fault: name, Number: number}
	for _, h := range hit {
		if h == "client" {
			e.Client = true
			continue
		}
		e.Servers = append(e.Servers, h)
	}
	e.What = record.FaultBegin
	f.add("orchestrator", begin, e)
	e.What = record.FaultEnd
	f.add("orchestrator", end, e)
}

// good is a run of three requests on two servers, in which the connection of
// s1 is cut while it runs r2, which then runs again on s2.
func good() *forgery {
	f := &forgery{logs: make(map[string][]record.Event), tails: make(map[string]string)}
	f.add("orchestrator", 0, record.Event{What: record.Run, Broker: "nats", Requests: 3, Limit: 5})
	f.request("r1", 100, "s1", 11)
	f.request("r2", 200, "s2", 22)
	f.change("r2", record.DoStart, func(e *record.Event) { e.Attempt, e.Time = 2, at(4000) })
	f.change("r2", record.DoEnd, func(e *record.Event) { e.Attempt, e.Time = 2, at(4018) })
	f.change("r2", record.Settled, func(e *record.Event) { e.Attempt, e.Time, *e.Began = 2, at(4019), at(4018) })
	f.change("r2", record.Outcome, func(e *record.Event) { e.Attempt, e.Time = 2, at(4020) })
	f.add("s1", 202, record.Event{What: record.DoStart, ID: "r2", Server: "s1", PID: 11, Attempt: 1})
	f.add("s1", 215, record.Event{What: record.DoEnd, ID: "r2", Server: "s1", PID: 11, Attempt: 1, Error: "delivery lost"})
	f.fault(1, "connection_cut", 210, 710, "s1")
	f.request("r3", 8000, "s2", 22)
	f.add("orchestrator", 9000, record.Event{What: record.Closing})
	for server, pid := range map[string]int{"s1": 11, "s2": 22} {
		f.add("orchestrator", 9010, record.Event{What: record.Died, Server: server, PID: pid})
	}
	return f
}

// judged writes the logs and has them audited.
func (f *forgery) judged(t *testing.T) (v verdict, told string, status int) {
	t.Helper()
	dir := t.TempDir()
	for log, events := range f.logs {
		var text bytes.Buffer
		for _, e := range events {
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(line, '\n'))
		}
		text.WriteString(f.tails[log])
		if err := os.WriteFile(filepath.Join(dir, log+"-1"+record.Suffix), text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, say bytes.Buffer
	status = audit([]string{dir}, &out, &say)
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("the verdict is no single line: %q", out.String())
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v, say.String(), status
}

func TestAGoodRun(t *testing.T) {
	v, told, status := good().judged(t)
	want := verdict{Broker: "nats", Faults: []string{"connection_cut"}, Requests: 3, Completed: 3, Repeated: 1, Gap: 3803}
	if !reflect.DeepEqual(v, want) || status != 0 {
		t.Errorf("got %+v, status %d; want %+v; told:\n%s", v, status, want, told)
	}
}

// Each forgery differs from a good run in one way, which must be found.
func TestWhatMustBeFound(t *testing.T) {
	for _, c := range []struct {
		name        string
		forge       func(f *forgery)
		lost, wrong int
		told        string
	}{
		{"no outcome", func(f *forgery) { f.drop(is("r1", record.Outcome)) },
			1, 0, "lost: r1: it was confirmed, and has no outcome"},
		{"no outcome, though it ran twice", func(f *forgery) { f.drop(is("r2", record.Outcome)) },
			1, 0, "lost: r2:"},
		{"rejected", func(f *forgery) {
			f.outcomes("r1", func(e *record.Event) { e.Status, e.Result, e.Error = "rejected", "", "limit reached" })
		}, 1, 0, `lost: r1: its outcome is "rejected": limit reached`},
		{"an outcome of nothing", func(f *forgery) { f.drop(is("r1", record.DoEnd)) },
			1, 0, "lost: r1: it has an outcome, but no run of it came to its end"},
		{"an outcome of a run that failed", func(f *forgery) {
			f.change("r1", record.DoEnd, func(e *record.Event) { e.Error = "stopped" })
		}, 1, 0, "lost: r1: it has an outcome, but no run of it came to its end"},
		{"never confirmed", func(f *forgery) { f.drop(is("r1", record.Confirmed)) },
			1, 0, "lost: r1: it was sent, but never confirmed"},
		{"not sent", func(f *forgery) { f.drop(func(e record.Event) bool { return e.ID == "r3" }) },
			1, 0, "lost: 1 requests were not even sent"},
		{"another result", func(f *forgery) {
			f.outcomes("r1", func(e *record.Event) { e.Result = compute(input("r3")) })
		}, 0, 1, "wrong: r1: its result is"},
		{"no result", func(f *forgery) {
			f.outcomes("r1", func(e *record.Event) { e.Result = "" })
		}, 0, 1, "wrong: r1: its result is"},
		{"an outcome that was told and not kept", func(f *forgery) {
			f.drop(func(e record.Event) bool { return e.ID == "r1" && e.Op == "sweep" })
			f.add("client", 9100, record.Event{What: record.Missing, ID: "r1"})
		}, 0, 1, "wrong: r1: its outcome was not there any more when all was over"},
		{"sender and server agree on a wrong result", func(f *forgery) {
			f.change("r1", record.Sent, func(e *record.Event) { e.Result = "abc" })
			f.outcomes("r1", func(e *record.Event) { e.Result = "abc" })
		}, 0, 2, "wrong: r1: its result is"},
		{"two outcomes", func(f *forgery) {
			f.add("client", 8900, record.Event{What: record.Outcome, ID: "r1", Op: "sweep", Status: "cancelled"})
		}, 0, 1, "wrong: r1: two outcomes"},
		{"an ID twice", func(f *forgery) {
			in := input("r1")
			f.add("orchestrator", 300, record.Event{What: record.Sent, ID: "r1", Input: &in, Result: compute(in)})
		}, 0, 1, "wrong: r1: the ID was used 2 times"},
		{"one that nobody sent", func(f *forgery) { f.runs("r9", 300, "s1", 11, 1) },
			0, 1, "wrong: r9: nobody sent it"},
		{"run again for no reason", func(f *forgery) { f.runs("r3", 8030, "s1", 11, 1) },
			0, 1, "wrong: r3: ran on s2 (22) at 12:00:08.002 and again on s1 (11) at 12:00:08.030, though no fault hit it"},
		{"run again, but the fault hit another server", func(f *forgery) {
			f.runs("r3", 8030, "s1", 11, 1)
			f.fault(2, "connection_cut", 8010, 8020, "s1")
			f.busy("s1", 11, 8010)
		}, 0, 1, "wrong: r3: ran on s2"},
		{"run again, but the fault was long over", func(f *forgery) {
			f.drop(is("r2", record.DoStart))
			f.add("s1", 2202, record.Event{What: record.DoStart, ID: "r2", Server: "s1", PID: 11, Attempt: 1})
			f.runs("r2", 4000, "s2", 22, 2)
			f.busy("s1", 11, 210)
		}, 0, 1, "wrong: r2: ran on s1"},
		{"run again, before the fault", func(f *forgery) {
			f.runs("r3", 8030, "s1", 11, 1)
			f.fault(2, "connection_cut", 8500, 8600, "s2")
			f.busy("s2", 22, 8500)
		}, 0, 1, "wrong: r3: ran on s2"},
		{"run again since it was submitted again, but nothing hit the client", func(f *forgery) {
			f.runs("r3", 8030, "s1", 11, 1)
			f.add("orchestrator", 8000, record.Event{What: record.Unsure, ID: "r3", Error: "no answer"})
		}, 0, 1, "wrong: r3: ran on s2"},
		{"run again, but the client was cut when it was confirmed", func(f *forgery) {
			f.runs("r3", 8030, "s1", 11, 1)
			f.fault(2, "client_cut", 8015, 8100, "client")
		}, 0, 1, "wrong: r3: ran on s2"},
		{"a late start, on a server that no fault hit", func(f *forgery) {
			f.add("s1", 8010, record.Event{What: record.DoStart, ID: "r3", Server: "s1", PID: 11, Attempt: 1})
			f.change("r3", record.DoStart, func(e *record.Event) {
				if e.Server == "s2" {
					e.Attempt = 2
				}
			})
			f.fault(2, "connection_stalled", 8005, 8025, "s2")
		}, 0, 1, "wrong: r3: ran on s2 (22) at 12:00:08.002 and again on s1"},
		{"a zombie's ack", func(f *forgery) {
			began := at(4010) // s2 has begun to run it at 4000
			f.add("s1", 4012, record.Event{What: record.Settled, ID: "r2", Server: "s1", PID: 11, Attempt: 1, Op: record.Ack, Began: &began})
		}, 0, 1, "wrong: r2: ack: s1 settled attempt 1 at 12:00:04.010, when s2 had run attempt 2 since 12:00:04.000"},
		{"a torn last line", func(f *forgery) { f.tails["s1"] = `{"t":"2030-01-01T12:00:09Z","what":"do_e` },
			0, 1, "wrong: torn log: s1-1.audit.jsonl, line 6"},
		{"a last line without its end", func(f *forgery) {
			f.tails["s1"] = `{"t":"2030-01-01T12:00:09Z","what":"problem"}`
		}, 0, 1, "wrong: torn log: s1-1.audit.jsonl, line 6: the line has no end"},
		{"a line that is no event", func(f *forgery) { f.tails["client"] = "{}\n" },
			0, 1, "wrong: torn log: client-1.audit.jsonl"},
		{"a server that ended by itself", func(f *forgery) {
			f.add("orchestrator", 5000, record.Event{What: record.Died, Server: "s1", PID: 10, Error: "exit status 2"})
		}, 0, 1, "wrong: server s1 (10) ended at 12:00:05.000: nobody told it to exit status 2"},
		{"a server that did not shut down well", func(f *forgery) {
			f.busy("s1", 10, 5000)
			f.fault(2, "server_shutdown", 5000, 5100, "s1")
			f.add("orchestrator", 5050, record.Event{What: record.Died, Server: "s1", PID: 10, Error: "exit status 1"})
		}, 0, 1, "wrong: server s1 (10) ended at 12:00:05.050: it did not shut down in order: exit status 1"},
		{"a fault that hit nothing", func(f *forgery) { f.fault(2, "slow_link", 6000, 6100, "s1", "s2") },
			0, 1, "wrong: fault 2, slow_link, hit nothing: no request was open"},
		{"a fault that hit another server", func(f *forgery) {
			f.busy("s1", 11, 6000)
			f.fault(2, "server_stopped", 6000, 6100, "s2")
		}, 0, 1, "wrong: fault 2, server_stopped, hit nothing: no request ran on [s2]"},
		{"a fault that did not end", func(f *forgery) {
			f.drop(func(e record.Event) bool { return e.What == record.FaultEnd })
		}, 0, 1, "wrong: fault 1, connection_cut, did not end"},
		{"a run that failed", func(f *forgery) {
			f.add("orchestrator", 8999, record.Event{What: record.Failed, Error: "it took too long"})
		}, 0, 1, "wrong: the run failed: it took too long"},
		{"a run that broke off", func(f *forgery) {
			f.drop(func(e record.Event) bool { return e.What == record.Closing || e.What == record.Died })
		}, 0, 1, "wrong: the run did not come to its end"},
		{"no word of how it was meant", func(f *forgery) {
			f.drop(func(e record.Event) bool { return e.What == record.Run })
		}, 0, 1, "wrong: the log does not say how the run was meant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := good()
			c.forge(f)
			v, told, status := f.judged(t)
			if v.Lost != c.lost || v.Wrong != c.wrong || status != 1 || !strings.Contains(told, c.told) {
				t.Errorf("lost %d, wrong %d, status %d; want %d, %d, 1 and %q; told:\n%s",
					v.Lost, v.Wrong, status, c.lost, c.wrong, c.told, told)
			}
		})
	}
}

// What a fault excuses, it excuses.
func TestWhatIsExcused(t *testing.T) {
	for name, forge := range map[string]func(f *forgery){
		"its server was hit while it ran": func(f *forgery) {
			f.runs("r3", 8030, "s1", 11, 2)
			f.fault(2, "connection_stalled", 8005, 8025, "s2")
		},
		"its server was hit before it ran, and then ran it after another": func(f *forgery) {
			f.add("s1", 8010, record.Event{What: record.DoStart, ID: "r3", Server: "s1", PID: 11, Attempt: 1})
			f.change("r3", record.DoStart, func(e *record.Event) {
				if e.Server == "s2" {
					e.Attempt = 2
				}
			})
			f.busy("s1", 11, 7500)
			f.fault(2, "server_stopped", 7500, 8009, "s1")
		},
		"the client was cut while it submitted": func(f *forgery) {
			f.runs("r3", 8030, "s1", 11, 1)
			f.fault(2, "client_cut", 7990, 8100, "client")
			f.change("r2", record.Outcome, func(e *record.Event) { e.Time = at(7995) }) // so that something is open
		},
		"it was acked in time, and the ack was lost": func(f *forgery) {
			f.change("r2", record.DoEnd, func(e *record.Event) { e.Error = "" })
			began := at(220)
			f.add("s1", 3000, record.Event{What: record.Settled, ID: "r2", Server: "s1", PID: 11, Attempt: 1,
				Op: record.Ack, Began: &began, Error: "delivery lost"})
		},
		"its server was killed": func(f *forgery) {
			f.runs("r3", 8030, "s1", 11, 2)
			f.fault(2, "server_killed", 8015, 8016, "s2")
			f.add("orchestrator", 8017, record.Event{What: record.Died, Server: "s2", PID: 22, Error: "signal: killed"})
			f.drop(func(e record.Event) bool { return e.What == record.Died && e.Time.Equal(at(9010)) && e.PID == 22 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			forge(f)
			if v, told, status := f.judged(t); status != 0 {
				t.Errorf("verdict %+v; told:\n%s", v, told)
			}
		})
	}
}

// poisoned is a good run with a request that kills whoever runs it, on servers
// that are replaced.
func poisoned() *forgery {
	f := good()
	f.change("", record.Run, func(e *record.Event) { e.Requests = 4 })
	in := input("p")
	in.Poison = true
	f.add("orchestrator", 5000, record.Event{What: record.Sent, ID: "p", Input: &in})
	f.add("orchestrator", 5001, record.Event{What: record.Confirmed, ID: "p"})
	for i := range 5 {
		pid := 31 + i
		f.add("s1", 5010+100*i, record.Event{What: record.DoStart, ID: "p", Server: "s1", PID: pid, Attempt: i + 1})
		f.add("orchestrator", 5015+100*i, record.Event{What: record.Died, Server: "s1", PID: pid, Error: "signal: killed"})
	}
	f.add("client", 5800, record.Event{What: record.Outcome, ID: "p", Status: "rejected", Error: "the limit is reached"})
	f.add("orchestrator", 8990, record.Event{What: record.Dead, ID: "p", Attempt: 5, Error: "the limit is reached"})
	return f
}

func TestPoison(t *testing.T) {
	v, told, status := poisoned().judged(t)
	if status != 0 || v.Requests != 4 || v.Completed != 3 || v.Repeated != 2 {
		t.Errorf("verdict %+v, status %d; told:\n%s", v, status, told)
	}
	for _, c := range []struct {
		name  string
		forge func(f *forgery)
		told  string
	}{
		{"not buried", func(f *forgery) { f.drop(is("p", record.Dead)) }, "lost: p: it is not among the dead letters"},
		{"nobody told", func(f *forgery) { f.drop(is("p", record.Outcome)) }, "lost: p: its sender was not told"},
		{"completed", func(f *forgery) {
			f.change("p", record.Outcome, func(e *record.Event) { e.Status = "completed" })
		}, "wrong: p: it completed, which it cannot"},
		{"run too often", func(f *forgery) {
			f.change("", record.Run, func(e *record.Event) { e.Limit = 3 })
		}, "wrong: p: it ran 5 times; the limit is 3"},
		{"never run", func(f *forgery) { f.drop(is("p", record.DoStart)) }, "wrong: p: it ran 0 times"},
		{"buried too early", func(f *forgery) {
			f.change("p", record.Dead, func(e *record.Event) { e.Attempt = 2 })
		}, "wrong: p: it was buried after 2 attempts; the limit is 5"},
		{"another buried with it", func(f *forgery) {
			f.outcomes("r1", func(e *record.Event) { e.Status, e.Result = "rejected", "" })
		}, `lost: r1: its outcome is "rejected"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := poisoned()
			c.forge(f)
			if v, told, status := f.judged(t); status != 1 || !strings.Contains(told, c.told) {
				t.Errorf("verdict %+v, status %d; want %q; told:\n%s", v, status, c.told, told)
			}
		})
	}
}

// A process that dies of poison later excuses nothing that was run again before.
func TestPoisonExcusesNothingBeforeIt(t *testing.T) {
	f := poisoned()
	f.add("s1", 5002, record.Event{What: record.DoStart, ID: "r3", Server: "s1", PID: 31, Attempt: 1})
	f.add("s1", 5004, record.Event{What: record.DoEnd, ID: "r3", Server: "s1", PID: 31, Attempt: 1})
	f.add("s2", 5006, record.Event{What: record.DoStart, ID: "r3", Server: "s2", PID: 22, Attempt: 2})
	f.add("s2", 5008, record.Event{What: record.DoEnd, ID: "r3", Server: "s2", PID: 22, Attempt: 2})
	if v, told, status := f.judged(t); status != 1 || !strings.Contains(told, "wrong: r3: ran on s1 (31)") {
		t.Errorf("verdict %+v, status %d; told:\n%s", v, status, told)
	}
}

// A run of nothing proves nothing.
func TestARunWithoutRequestsIsNoProof(t *testing.T) {
	f := &forgery{logs: make(map[string][]record.Event)}
	f.add("orchestrator", 0, record.Event{What: record.Run, Broker: "nats"})
	f.add("orchestrator", 10, record.Event{What: record.Closing})
	if v, told, status := f.judged(t); status != 1 {
		t.Errorf("verdict %+v, status %d; told:\n%s", v, status, told)
	}
}

// The gap counts only while there is work.
func TestGap(t *testing.T) {
	f := good()
	f.change("r3", record.DoEnd, func(e *record.Event) { e.Time = at(8700) })
	if v, _, _ := f.judged(t); v.Gap != 3803 {
		t.Errorf("gap %d ms; want 3803, from r2's first end to its second", v.Gap)
	}
	f = good()
	f.change("r2", record.Outcome, func(e *record.Event) { e.Time = at(7000) })
	f.add("s2", 6900, record.Event{What: record.DoEnd, ID: "r2", Server: "s2", PID: 22})
	if v, _, _ := f.judged(t); v.Gap != 3803 {
		t.Errorf("gap %d ms; want 3803", v.Gap)
	}
	f = good()
	f.drop(is("r3", record.Outcome))
	f.drop(is("r3", record.DoEnd))
	f.add("orchestrator", 60_000, record.Event{What: record.Failed, Error: "too long"})
	if v, _, _ := f.judged(t); v.Gap != 52_000 {
		t.Errorf("gap %d ms; want 52000, until somebody gave up", v.Gap)
	}
}

func TestNothingToJudge(t *testing.T) {
	var out, say bytes.Buffer
	if status := audit([]string{t.TempDir()}, &out, &say); status != 2 || out.Len() > 0 {
		t.Errorf("status %d, printed %q; want 2 and nothing", status, out.String())
	}
	if status := audit(nil, &out, &say); status != 2 {
		t.Errorf("status %d without a folder; want 2", status)
	}
}

// The results do not hang on how two programs agree.
func TestCompute(t *testing.T) {
	// printf 'x\0\0\0\0' | sha256sum, hashed once more, and then the hash of that
	got := compute(record.Input{Seed: "x", Chunks: 1, Rounds: 1})
	if want := knownResult; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

// knownResult was computed by openssl.
const knownResult = "2058e72f2536b9d308adb0688036337672703508ecb5f75b62a0258136f95815"
