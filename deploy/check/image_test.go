package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// image is what the last stage of the Dockerfile makes: a root directory, and who
// runs what in it. There is no container around it: it stands in for one by
// chroot, without the right to write to anything but its volumes.
type image struct {
	root       string
	uid, gid   int
	entrypoint []string
	cmd        []string
}

func newImage(t *testing.T) *image {
	t.Helper()
	stages, _ := dockerfile(t)
	last := stages[len(stages)-1]
	i := &image{root: t.TempDir()}
	user := commands[*instructions.UserCommand](last)
	if len(user) != 1 {
		t.Fatalf("the image has %d users", len(user))
	}
	i.uid, i.gid = ids(t, user[0].User)
	if i.uid == 0 || i.gid == 0 {
		t.Error("the image runs as root")
	}
	for _, c := range commands[*instructions.CopyCommand](last) {
		for _, src := range c.SourcePaths {
			i.copy(t, c, src)
		}
	}
	for _, c := range commands[*instructions.EntrypointCommand](last) {
		i.entrypoint = c.CmdLine
	}
	for _, c := range commands[*instructions.CmdCommand](last) {
		i.cmd = c.CmdLine
	}
	// Last, since nothing can be made in it from here on.
	if err := os.Chmod(i.root, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(i.root, 0o755) }) // to be removed
	return i
}

// ids reads USER:GROUP in numbers, as Kubernetes needs them to see that it is not root.
func ids(t *testing.T, s string) (uid, gid int) {
	t.Helper()
	user, group, _ := strings.Cut(s, ":")
	uid, err := strconv.Atoi(user)
	if err == nil {
		gid, err = strconv.Atoi(group)
	}
	if err != nil {
		t.Fatalf("%q is not a user and a group in numbers", s)
	}
	return uid, gid
}

// copy carries out COPY --from=build for one source. The certificates are not
// made by the build: they are those of this Debian.
func (i *image) copy(t *testing.T, c *instructions.CopyCommand, src string) {
	t.Helper()
	if c.From != "build" {
		t.Fatalf("COPY %s is not from the build", src)
	}
	from := filepath.Join(build(t), src)
	if strings.HasPrefix(src, "/etc/ssl/") {
		from = src
	}
	to := filepath.Join(i.root, c.DestPath)
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else {
		if strings.HasSuffix(c.DestPath, "/") {
			to = filepath.Join(to, filepath.Base(src))
		}
		write(t, to, read(t, from), info.Mode())
	}
	if err == nil && c.Chmod != "" {
		mode, bad := strconv.ParseUint(c.Chmod, 8, 32)
		if bad != nil {
			t.Fatal(bad)
		}
		err = os.Chmod(to, os.FileMode(mode))
	}
	if err == nil && c.Chown != "" {
		uid, gid := ids(t, c.Chown)
		err = i.chown(to, uid, gid)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// chown gives a file to a user of the image, who is this one where it is not root.
func (i *image) chown(path string, uid, gid int) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(path, uid, gid)
}

// volume puts a file where a volume would be mounted.
func (i *image) volume(t *testing.T, path, content string) {
	t.Helper()
	if err := os.Chmod(i.root, 0o755); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(i.root, path)
	write(t, to, []byte(content), 0o440)
	if err := i.chown(to, 0, i.gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(i.root, 0o555); err != nil {
		t.Fatal(err)
	}
}

// command is the entry point with arguments in place of CMD, as the user of the
// image, with the root of the image for its own and an environment of its own.
func (i *image) command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	argv := append(append([]string{}, i.entrypoint...), args...)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Err = nil // the path is one of the image
	cmd.Dir, cmd.Env = "/", append([]string{"PATH=/"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(i.uid), Gid: uint32(i.gid)}
		return cmd
	}
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER // in which this user may chroot
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: i.uid, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: i.gid, HostID: os.Getgid(), Size: 1}}
	return cmd
}
