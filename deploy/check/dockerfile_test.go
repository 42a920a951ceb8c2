package check

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// dockerfile is deploy/Dockerfile as BuildKit understands it, without a warning.
func dockerfile(t *testing.T) (stages []instructions.Stage, args []instructions.ArgCommand) {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(read(t, deploy("Dockerfile"))))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	stages, args, err = instructions.Parse(parsed.AST, linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, at []parser.Range) {
			t.Errorf("Dockerfile: %s: %s %v", rule, message, at)
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return stages, args
}

// commands are those of one sort in a stage.
func commands[C any](s instructions.Stage) (all []C) {
	for _, c := range s.Commands {
		if c, ok := c.(C); ok {
			all = append(all, c)
		}
	}
	return all
}

var goVersion = regexp.MustCompile(`(?m)^go (\d+\.\d+)`)

func TestImageIsBuiltWithTheGoOfTheModule(t *testing.T) {
	_, args := dockerfile(t)
	want := goVersion.FindStringSubmatch(string(read(t, filepath.Join(root, "go.mod"))))[1]
	if len(args) != 1 || args[0].Args[0].Key != "GO_VERSION" || args[0].Args[0].ValueString() != want {
		t.Errorf("arguments before the first stage are %v; want GO_VERSION=%s", args, want)
	}
}

// built is the program, built by the very command of the Dockerfile. What would
// be in the build stage stands in stage.
var built struct {
	once  sync.Once
	stage string
	said  []byte
	err   error
}

// build builds the program once and returns the root of the build stage.
func build(t *testing.T) string {
	t.Helper()
	stages, _ := dockerfile(t)
	built.once.Do(func() {
		if built.stage, built.err = os.MkdirTemp("", "stage"); built.err != nil {
			return
		}
		for _, run := range commands[*instructions.RunCommand](stages[0]) {
			command := strings.Join(run.CmdLine, " ")
			for _, dir := range []string{"/out/", "/data"} {
				command = strings.ReplaceAll(command, " "+dir, " "+built.stage+dir)
			}
			cmd := exec.Command("sh", "-ec", command)
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH)
			if built.said, built.err = cmd.CombinedOutput(); built.err != nil {
				return
			}
		}
	})
	if built.err != nil {
		t.Fatalf("%v\n%s", built.err, built.said)
	}
	return built.stage
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.stage != "" {
		os.RemoveAll(built.stage)
	}
	os.Exit(code)
}

func TestProgramNeedsNoLibraries(t *testing.T) {
	f, err := elf.Open(filepath.Join(build(t), "out/occamy"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it has a segment %v: something must load it", p.Type)
		}
	}
	if f.Section(".symtab") != nil {
		t.Error("it has a symbol table, which takes room and serves nobody there")
	}
}

func TestImageHoldsTheProgramAndNothingElse(t *testing.T) {
	stages, _ := dockerfile(t)
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("it is made of %s", last.BaseName)
	}
	if runs := commands[*instructions.RunCommand](last); len(runs) > 0 {
		t.Errorf("it runs %v, for which there is no shell", runs)
	}
	image := newImage(t)
	var files []string
	err := filepath.WalkDir(image.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, image.root))
		}
		return err
	})
	if want := []string{"/etc/ssl/certs/ca-certificates.crt", "/occamy"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("it has %q, %v; want %q", files, err, want)
	}
}
