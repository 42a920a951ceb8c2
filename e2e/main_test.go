package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// What all tests share: the program under test and a browser.
var (
	program string          // the path of occamy
	browser context.Context // of the browser's process
)

func TestMain(m *testing.M) {
	if os.Getenv(fakeFleetEnv) != "" {
		os.Exit(runFakeFleet())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "occamy-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "occamy")
	build := exec.Command("go", "build", "-o", program, "./cmd/occamy")
	build.Dir, build.Stdout, build.Stderr = "..", os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build occamy:", err)
		return 1
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), browserFlags(filepath.Join(dir, "profile"))...)
	defer end()
	browser, end = chromedp.NewContext(ctx)
	defer end() // waits until the browser's processes are gone
	if err := chromedp.Run(browser); err != nil {
		fmt.Fprintln(os.Stderr, "start the browser; scripts/e2e installs it:", err)
		return 1
	}
	return m.Run()
}

// browserFlags start a browser as in a container: headless, and without a
// sandbox of its own.
func browserFlags(profile string) []chromedp.ExecAllocatorOption {
	flags := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	flags = append(flags,
		chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("hide-scrollbars", false),
	)
	if path := os.Getenv("OCCAMY_CHROMIUM"); path != "" {
		flags = append(flags, chromedp.ExecPath(path))
	}
	return flags
}
