package check

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what is sure to come.
const patience = 30 * time.Second

// service is a running 'occamy serve' of an image.
type service struct {
	cmd    *exec.Cmd
	Broker string `json:"broker"`
	Slots  int    `json:"slots"`
	errs   *strings.Builder
	out    *bufio.Reader
}

// serve runs the image and returns once it takes requests.
func (i *image) serve(t *testing.T, env []string, args ...string) *service {
	t.Helper()
	s := &service{errs: new(strings.Builder)}
	s.cmd = i.command(t, env, append(args, "--json")...)
	s.cmd.Stderr = s.errs
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	late := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	s.out = bufio.NewReader(out)
	line, err := s.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, s)
	}
	if err != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		t.Fatalf("serve does not get ready: %v %s\n%s", err, line, s.errs)
	}
	return s
}

// stop sends SIGTERM and expects an orderly end.
func (s *service) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	rest, _ := io.ReadAll(s.out) // ends with the process
	if err := s.cmd.Wait(); err != nil || !strings.Contains(string(rest), `"stopped"`) {
		t.Errorf("it ends with %v\n%s%s", err, rest, s.errs)
	}
}

func TestImageServesAsNobodyAndStopsInOrder(t *testing.T) {
	i := newImage(t)
	s := i.serve(t, nil, append(i.cmd, "--listen=127.0.0.1:0", "--slots=2", "--sync=false")...)
	submit := i.command(t, []string{"OCCAMY_BROKER=" + s.Broker}, "submit", "price", "--header=paths=1000", "--wait", "--json")
	out, err := submit.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"completed"`) {
		t.Errorf("submit: %v\n%s%s", err, out, s.errs)
	}
	if status, err := os.ReadFile("/proc/" + itoa(s.cmd.Process.Pid) + "/status"); err != nil || os.Getuid() == 0 && !strings.Contains(string(status), "\nUid:\t65532\t65532\t65532\t65532\n") ||
		os.Getuid() == 0 && !strings.Contains(string(status), "\nCapEff:\t0000000000000000\n") {
		t.Errorf("it runs as %v\n%s", err, status)
	}
	s.stop(t)
}

// freeAddress is an address of this machine where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get asks the service for a page, with a token unless it is empty.
func get(t *testing.T, at, path, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func itoa[N ~int | ~int32](n N) string { return strconv.Itoa(int(n)) }
