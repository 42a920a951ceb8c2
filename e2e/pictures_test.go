package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The pictures of the documentation come from this run: `make pictures`.
func TestPictures(t *testing.T) {
	dir := os.Getenv("OCCAMY_E2E_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	a := serve(t, "--slots", "8", "--config", config(t, `{"id": "planner-1"}`))
	serve(t, "--broker", a.broker, "--slots", "8", "--config", config(t, `{"id": "planner-2"}`))
	serve(t, "--broker", a.broker, "--slots", "4", "--config", config(t, `{"id": "planner-3"}`))
	c := a.connect(t)
	p := open(t, a.http, "/", 1280, 860)
	p.until("the page is live", live)
	p.until("all servers are there", `document.querySelectorAll('[data-testid=server]').length === 3`)
	submit(t, c, "berlin-tour")
	p.until("it grows", `document.querySelectorAll('[data-slot][data-request="berlin-tour"]').length >= 12`)
	pause(6 * time.Second)
	for _, id := range []string{"night-plan", "depot-7", "van-routes"} {
		submit(t, c, id)
	}
	p.until("all run", `document.querySelectorAll('[data-status=protected]').length === 4`)
	p.until("helpers are back", `document.querySelectorAll('[data-slot][data-status=empty]').length === 0`)
	pause(6 * time.Second)
	p.prefer("light")
	pause(time.Second)
	p.picture(filepath.Join(dir, "dashboard-light.png"))
	p.prefer("dark")
	pause(time.Second)
	p.picture(filepath.Join(dir, "dashboard-dark.png"))
	phone := open(t, a.http, "/", 360, 740)
	phone.prefer("light")
	phone.until("the requests are shown", `document.querySelectorAll('[data-testid=task-row]').length === 4`)
	pause(2 * time.Second)
	phone.picture(filepath.Join(dir, "dashboard-phone.png"))
	task := open(t, a.http, "/task/berlin-tour", 1280, 860)
	task.prefer("light")
	task.until("its life is told", `document.querySelectorAll('[data-testid=timeline] [data-type]').length > 3`)
	pause(2 * time.Second)
	task.picture(filepath.Join(dir, "task.png"))
}

func config(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "serve.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
