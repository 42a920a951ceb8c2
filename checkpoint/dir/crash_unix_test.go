//go:build unix

package dir_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/dir"
)

const childVar = "OCCAMY_TEST_DIR_CHILD"

func TestMain(m *testing.M) {
	if root := os.Getenv(childVar); root != "" {
		if err := attempt(root, os.Stdin, os.Stdout); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// attempt counts on from where the last one stopped, one save for each line of
// in, and says so once it is saved.
func attempt(root string, in io.Reader, out io.Writer) error {
	s, err := dir.Open(root, dir.Options{})
	if err != nil {
		return err
	}
	p := checkpoint.New(s, "r")
	last, err := p.Claim(context.Background())
	if err != nil {
		return err
	}
	n, err := numberOf(last)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "claimed", n)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		err := p.Save(context.Background(), valueOf(n+1))
		if errors.Is(err, checkpoint.ErrSuperseded) {
			fmt.Fprintln(out, "superseded", n)
			return nil
		}
		if err != nil {
			return err
		}
		n++
		fmt.Fprintln(out, "saved", n)
	}
	return nil
}

// valueOf is long, so that a write is not over in a moment, and all of it tells
// which number it is.
func valueOf(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%8d", n), 10_000) }

func numberOf(value []byte) (int, error) {
	if value == nil {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(value[:min(8, len(value))])))
	if err == nil && !bytes.Equal(value, valueOf(n)) {
		err = errors.New("a value is not in one piece")
	}
	return n, err
}

type child struct {
	*testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, root string) *child {
	t.Helper()
	c := &child{T: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childVar+"="+root)
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out = in, bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func (c *child) ask(n int) {
	c.Helper()
	if _, err := io.WriteString(c.in, strings.Repeat("\n", n)); err != nil {
		c.Fatal(err)
	}
}

// hear reads what the child says next.
func (c *child) hear(want string) (n int) {
	c.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.Fatalf("the child has ended: %v", err)
	}
	if _, err := fmt.Sscanf(line, want+" %d\n", &n); err != nil {
		c.Fatalf("the child says %q, want %q", line, want)
	}
	return n
}

// A process is killed while it saves, again and again: what it had said was
// saved is there, or the value that it was about to save, in one piece.
func TestAKilledProcessLeavesTheOldValueOrTheNewOne(t *testing.T) {
	root := t.TempDir()
	saved, midway := 0, 0
	for range 30 {
		c := startChild(t, root)
		found := c.hear("claimed")
		if found != saved && found != saved+1 {
			t.Fatalf("%d was found after %d had been saved", found, saved)
		}
		if found == saved+1 {
			midway++
		}
		saved = found
		c.ask(100)
		for range rand.IntN(5) {
			saved = c.hear("saved")
		}
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for { // what it had said by then
			line, err := c.out.ReadString('\n')
			if err != nil {
				break
			}
			if _, err := fmt.Sscanf(line, "saved %d\n", &saved); err != nil {
				t.Fatalf("%q", line)
			}
		}
		c.kill() // which forgets what has not been read
	}
	t.Logf("%d values saved, %d of them unheard", saved, midway)
	open(t, root, dir.Options{})
	if n := count(t, filepath.Join(root, "temp")); n != 0 {
		t.Errorf("%d leftovers", n)
	}
}

func TestAZombieInAnotherProcessNeverOverwrites(t *testing.T) {
	root := t.TempDir()
	zombie := startChild(t, root)
	zombie.hear("claimed")
	zombie.ask(3)
	for range 3 {
		zombie.hear("saved")
	}
	heir := startChild(t, root)
	if n := heir.hear("claimed"); n != 3 {
		t.Fatalf("the heir begins at %d, want 3", n)
	}
	zombie.ask(1)
	zombie.hear("superseded")
	heir.ask(2)
	heir.hear("saved")
	if n := heir.hear("saved"); n != 5 {
		t.Errorf("the heir is at %d, want 5", n)
	}
}
